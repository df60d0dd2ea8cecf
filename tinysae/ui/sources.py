"""What the pages call an SAE whose features can be looked at."""

from datetime import datetime

from tinysae.features.sources import FeatureSource
from tinysae.ui.i18n import t


def source_label(source: FeatureSource) -> str:
    """What people call a source, and when it was made (untrusted text)."""
    if source.is_embedded:
        return t("features.embedded")
    made = datetime.fromtimestamp(source.created_at).strftime("%Y-%m-%d %H:%M")
    label = f"{source.name} · {made}"
    if source.readiness == "ready":
        return label
    return f"{label} · {t(f'features.state_{source.readiness}')}"
