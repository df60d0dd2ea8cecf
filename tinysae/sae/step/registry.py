"""Architecture name -> the class of its sparse step.

An architecture that is not here is trained by SAELens's own step (`step.engine`).
"""

from tinysae.sae.step.batchtopk import BatchTopKStep
from tinysae.sae.step.gated import GatedStep
from tinysae.sae.step.jumprelu import JumpReLUStep
from tinysae.sae.step.matryoshka import MatryoshkaStep
from tinysae.sae.step.sparse import SparseStep
from tinysae.sae.step.standard import StandardStep
from tinysae.sae.step.topk import TopKStep

STEPS: dict[str, type[SparseStep]] = {
    "standard": StandardStep,
    "topk": TopKStep,
    "batchtopk": BatchTopKStep,
    "matryoshka_batchtopk": MatryoshkaStep,
    "jumprelu": JumpReLUStep,
    "gated": GatedStep,
}
