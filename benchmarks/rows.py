"""What README's and docs/figures.md's tables say, and from which figures.

A row's text is a format string over `results.json`'s entries: `{faults[kills]}` is the
figure `kills` of the entry `faults`. A label says exactly what was measured; where the
answer depends on a text's length, a phase or a seed, the less favourable one stands
beside the other.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """Both are format strings."""

    what: str
    measured: str


class Group(NamedTuple):
    """Rows under one heading of docs/figures.md."""

    title: str
    rows: tuple[Row, ...]


FAULTS = Row(
    "{faults[kills]} random kills, {faults[disk_full]} full disks, "
    "{faults[stop_resume_cycles]} stops: rows lost, resumes failed, largest gap of a "
    "final figure to an undisturbed run's",
    "{faults[rows_lost]}, {faults[resumes_failed]}, {faults[final_metric_gap]:g}",
)
OWN_FEATURE = Row(
    "from the server's start in a fresh clone, packages installed, to a feature of "
    "one's own SAE, its training over; to the whole index",
    "{pages[minutes_to_own_feature]:.1f} min; {pages[minutes_to_whole_index]:.1f} min",
)

# README's own.
MAIN = (
    OWN_FEATURE,
    Row(
        "SAELens's time over ours: a whole L1 training of 2,048 features from fresh "
        "weights to its files, {training_quality[tokens]:,} tokens; one training step "
        "alone where L0 is held at 64, at 300",
        "{training_quality[saelens_time_over_ours]:.1f}; "
        "{train_step[standard_256x4096_l64]:.1f}, "
        "{train_step[standard_256x4096_l300]:.1f}",
    ),
    FAULTS,
)

GROUPS = (
    Group(
        "The embedded model and its SAE",
        (
            Row(
                "right name first, of 300 held-out prompts with another character in "
                "them; the same for “she” and “he”, and where the friend's is the "
                "other",
                "{storybook[name_recall]:.3f}; {storybook[pronoun_recall]:.3f}, "
                "{storybook[pronoun_recall_mixed]:.3f}",
            ),
            Row(
                "held-out loss over a Kneser-Ney bigram's",
                "{storybook[loss_over_bigram]:.3f}",
            ),
            Row(
                "the shipped SAE ({storybook[sae_d_sae]:,} features of what the MLP "
                "reads), on 200k held-out tokens: CE loss recovered, L0, dead",
                "{storybook[sae_ce_recovered]:.3f}, {storybook[sae_l0]:.1f}, "
                "{storybook[sae_dead_share]:.1%}",
            ),
            Row(
                "what CE loss recovered is made of: the model's CE with the SAE in "
                "place, without, with zeros there",
                "{storybook[ce_loss_sae]:.3f}, {storybook[ce_loss_clean]:.3f}, "
                "{storybook[ce_loss_zero]:.1f}",
            ),
            Row(
                "of {concepts[concepts_counted]} concepts of the stories, those that "
                "at most three of its features read with an F1 of 0.8; one alone",
                "{concepts[concepts_found]:.2f}; {concepts[concepts_found_single]:.2f}",
            ),
            Row(
                "the same by a linear probe; by three of the MLP's neurons",
                "{concepts[concepts_by_linear_probe]:.2f}; "
                "{concepts[concepts_by_neurons]:.2f}",
            ),
            Row(
                "names: of {names[live]:,} live features, those whose rule tells on "
                "held-out text where they fire with a balanced accuracy of 0.85; with "
                "0.75; no rule at all",
                "{names[detection_85]:.1%}; {names[detection_75]:.1%}; "
                "{names[no_rule]:.1%}",
            ),
            Row(
                "their rules: median balanced accuracy, F1 of firing, correlation with "
                "how strongly; median where each fires as often, but anywhere; time to "
                "learn one",
                "{names[detection]:.2f}, {names[f1]:.2f}, {names[correlation]:.2f}; "
                "{names[shuffled]:.2f}; {names[ms_a_feature]:.1f} ms",
            ),
            Row(
                "themes: of {themes[read]} features that read a concept, those whose "
                "theme is its kind; dealt out by chance, the best of ten times; live "
                "features with a theme; CPU time to make them",
                "{themes[agree]:.2f}; {themes[agree_shuffled]:.2f}; "
                "{themes[in_a_theme]:.2f}; {themes[seconds]:.1f} s",
            ),
        ),
    ),
    Group(
        "The default run",
        (
            Row(
                "preset “look” ({default_run[training_tokens]:,} tokens, "
                "{default_run[d_sae]:,.0f} features): CE loss recovered, L0, explained "
                "variance, dead",
                "{default_run[ce_loss_score]:.3f}, {default_run[l0]:.1f}, "
                "{default_run[explained_variance]:.3f}, {default_run[dead_share]:.1%}",
            ),
            Row(
                "its features with a sure name, of those that ever fire",
                "{default_run[n_sure]:.0f} ({default_run[sure]:.0%})",
            ),
            Row(
                "CE with the SAE in place, without, with zeros there",
                "{default_run[ce_loss_sae]:.3f}, {default_run[ce_loss_clean]:.3f}, "
                "{default_run[ce_loss_zero]:.1f}",
            ),
            Row(
                "from its start to an index that opens", "{default_run[seconds]:.0f} s"
            ),
        ),
    ),
    Group(
        "Pages",
        (
            OWN_FEATURE,
            Row(
                "a cold server, an empty profile: home's first paint and its title, "
                "over a one-line Streamlit app's; the title",
                "{pages[fcp_over_bare_streamlit]:.2f}, "
                "{pages[title_over_bare_streamlit]:.2f}; {pages[title_s]:.1f} s",
            ),
            Row(
                "from the start of navigation to a model that answers",
                "{pages[model_ready_s]:.1f} s",
            ),
            Row(
                "a step of a slider on a page that is open; the token strip of 256 "
                "tokens, with its code",
                "{pages[rerun_ms]:.0f} ms; {pages[strip_kib_256]:.0f} KiB",
            ),
            Row(
                "live curves drawn anew in 30 s; frames in the 10 s after a run; "
                "requests to other hosts",
                "{pages[chart_remounts]}; {pages[frames_after_end]}; "
                "{pages[outside_requests]}",
            ),
        ),
    ),
    Group(
        "A run that is disturbed",
        (
            FAULTS,
            Row(
                "a status that was wrong, at the longest, after a kill or a full disk",
                "{faults[status_right_s]:.2f} s",
            ),
            Row(
                "from Start to the first point of the curve, median and slowest of "
                "three: a while after the page was opened; at once, or on the command "
                "line",
                "{faults[first_point_s]:.1f} s, {faults[first_point_slowest_s]:.1f} s; "
                "{faults[first_point_cold_s]:.1f} s, "
                "{faults[first_point_cold_slowest_s]:.1f} s",
            ),
            Row(
                "Stop answered, median and slowest",
                "{faults[stop_s]:.1f} s, {faults[stop_slowest_s]:.1f} s",
            ),
            Row(
                "of the machine, what an open page takes on the server; with its "
                "browser",
                "{page_cost[page_cost_share]:.1%}; "
                "{page_cost[page_and_browser_cost_share]:.1%}",
            ),
        ),
    ),
    Group(
        "The doctor",
        (
            Row(
                "of {doctor[planted]:.0f} planted faults (18, three seeds) those that "
                "are its first word; that it names at all",
                "{doctor[right_first]:.1%}; {doctor[right_at_all]:.1%}",
            ),
            Row(
                "those whose mended run is better by the figure that the fault spoils; "
                "has that fault no more",
                "{doctor[remedy_better]:.1%}; {doctor[cured]:.1%}",
            ),
            Row(
                "what it says of {doctor[healthy]:.0f} healthy runs (six "
                "architectures, three models)",
                "{doctor[false_alarms]:.0f}",
            ),
        ),
    ),
    Group(
        "Experiments",
        (
            Row(
                "time of eight L1 trainings over that of one sweep of them: SAELens's "
                "runner eight times; its MultiSAETrainingRunner; our runs one by one",
                "{experiments[sweep_over_saelens_runs]:.1f}; "
                "{experiments[sweep_over_saelens_multi]:.1f}; "
                "{experiments[sweep_over_own_runs]:.1f}",
            ),
            Row(
                "largest gap of a sweep's point to the same run alone: of the CE with "
                "the SAE in place (nats) or of L0 (a share)",
                "{experiments[sweep_point_gap]:.2g}",
            ),
            Row(
                "an L0 asked for, the worst of {experiments[settings]:.0f} settings "
                "(standard, gated and JumpReLU, two widths, two L0s): how far the "
                "held-out L0 is from it; the CE loss recovered from a plain run's "
                "with the coefficient that was found",
                "{experiments[target_l0_gap]:.1%}; {experiments[target_l0_ce_gap]:.4f}",
            ),
            Row(
                "the same on average",
                "{experiments[target_l0_gap_mean]:.1%}; "
                "{experiments[target_l0_ce_gap_mean]:.4f}",
            ),
        ),
    ),
    Group(
        "What is brought from elsewhere",
        (
            Row(
                "{fuzz[inputs]:,} files, folders, links and paths made wrong, each "
                "read as a page reads it: processes that ended, errors that are no "
                "sentence, readings beyond 512 MB or 5 s",
                "{fuzz[crashes]}, {fuzz[other_exceptions]}, {fuzz[over_limits]}",
            ),
        ),
    ),
    Group(
        "Training against SAELens",
        (
            Row(
                "a whole L1 training, fresh weights to files, 2,048 features, "
                "{training_quality[tokens]:,} tokens, both cores, "
                "{training_quality[seeds]} seeds: SAELens's time over ours, median",
                "{training_quality[saelens_time_over_ours]:.2f}",
            ),
            Row(
                "the same, the least of the seeds",
                "{training_quality[saelens_time_over_ours_least]:.2f}",
            ),
            Row(
                "the SAEs of those trainings: CE loss recovered less SAELens's, L0 "
                "over its",
                "{training_quality[ce_recovered_minus_saelens]:.4f}, "
                "{training_quality[l0_over_saelens]:.3f}",
            ),
            Row(
                "our evaluation's largest relative gap to `run_evals`; a loss's over "
                "50 steps of any architecture to SAELens's step in float32 or float64, "
                "whichever is nearer; these two apart",
                "{training_quality[eval_gap_to_run_evals]:.0e}; "
                "{training_quality[loss_gap_50_steps]:.0e}; "
                "{training_quality[loss_gap_50_steps_of_saelens]:.0e}",
            ),
            Row(
                "a step alone, one thread, CPU time, L0 held by a bias, SAELens's over "
                "ours: standard 256 x 4096 at L0 64, at L0 300; 1024 x 16384 at L0 64",
                "{train_step[standard_256x4096_l64]:.1f}, "
                "{train_step[standard_256x4096_l300]:.1f}; "
                "{train_step[standard_1024x16384_l64]:.1f}",
            ),
            Row(
                "the same, 256 x 4096, L0 or k 64: TopK, BatchTopK, JumpReLU, gated, "
                "Matryoshka",
                "{train_step[topk_256x4096_k64]:.1f}, "
                "{train_step[batchtopk_256x4096_k64]:.1f}, "
                "{train_step[jumprelu_256x4096_l64]:.1f}, "
                "{train_step[gated_256x4096_l64]:.1f}, "
                "{train_step[matryoshka_256x4096_k64]:.1f}",
            ),
            Row(
                "the same without numba, standard 256 x 4096, L0 64",
                "{train_step[torch_path_256x4096_l64]:.1f}",
            ),
            Row(
                "worst relative error of a loss over 200 steps, of a gradient",
                "{train_step[loss_error]:.0e}, {train_step[grad_error]:.0e}",
            ),
            Row(
                "a step with its batch once the shuffle buffer cycles (the beginning "
                "of a training is not in it), both cores, wall time, SAELens's over "
                "ours: the tutorial's shape with L0 held at 64; BatchTopK, k 24, "
                "256 x 2048",
                "{train_end_to_end[tutorial_ratio]:.1f}; "
                "{train_end_to_end[storybook_ratio]:.1f}",
            ),
            Row(
                "our peak memory over SAELens's, the larger of the two",
                "{train_end_to_end[peak_memory_over_saelens]:.2f}",
            ),
        ),
    ),
    Group(
        "On a GPU",
        (
            Row(
                "a whole L1 training of the tutorial's shape (1024 x 16384, batch "
                "4096, 500 steps, fresh weights to files), SAELens's runner's time "
                "over ours: as each comes (float32; TF32); both in float32; both with "
                "TF32",
                "{gpu[tutorial_time_over_ours]:.2f}; "
                "{gpu[tutorial_time_over_ours_float32]:.2f}; "
                "{gpu[tutorial_time_over_ours_tf32]:.2f}",
            ),
            Row(
                "the same, BatchTopK, k 64, 256 x 4096, 2M tokens of stories, which "
                "ours also tells and tokenizes",
                "{gpu[storybook_time_over_ours]:.2f}; "
                "{gpu[storybook_time_over_ours_float32]:.2f}; "
                "{gpu[storybook_time_over_ours_tf32]:.2f}",
            ),
            Row(
                "those of ours in float32, TF32, bfloat16: the tutorial's; the "
                "stories'",
                "{gpu[tutorial_s_ours_float32]:.1f}, {gpu[tutorial_s_ours_tf32]:.1f}, "
                "{gpu[tutorial_s_ours_bfloat16]:.1f} s; "
                "{gpu[storybook_s_ours_float32]:.1f}, "
                "{gpu[storybook_s_ours_tf32]:.1f}, "
                "{gpu[storybook_s_ours_bfloat16]:.1f} s",
            ),
            Row(
                "on held-out text, TF32's less (over) SAELens's in float32: explained "
                "variance and L0 of the tutorial's (a random model); CE loss recovered "
                "and L0 of the stories'",
                "{gpu[tutorial_quality_gap_tf32]:.4f}, "
                "{gpu[tutorial_l0_ratio_tf32]:.3f}; "
                "{gpu[storybook_quality_gap_tf32]:.5f}, "
                "{gpu[storybook_l0_ratio_tf32]:.3f}",
            ),
            Row(
                "a step alone, SAELens's with a fused Adam, 1024 x 16384: standard in "
                "float32, TF32, bfloat16, TF32 through torch.compile (which is not "
                "used); BatchTopK likewise",
                "{gpu[step_ms_standard_1024x16384_float32]:.1f}, "
                "{gpu[step_ms_standard_1024x16384_tf32]:.1f}, "
                "{gpu[step_ms_standard_1024x16384_bfloat16]:.1f}, "
                "{gpu[step_ms_standard_1024x16384_compiled]:.1f} ms; "
                "{gpu[step_ms_batchtopk_1024x16384_float32]:.1f}, "
                "{gpu[step_ms_batchtopk_1024x16384_tf32]:.1f}, "
                "{gpu[step_ms_batchtopk_1024x16384_bfloat16]:.1f}, "
                "{gpu[step_ms_batchtopk_1024x16384_compiled]:.1f} ms",
            ),
            Row(
                "an index of 300,000 tokens, the shipped SAE, map as “pca”: with the "
                "GPU; without it, on that machine's 16 cores",
                "{gpu[index_s]:.1f} s; {gpu[index_cpu_s]:.1f} s",
            ),
            Row(
                "stories told, tokenized, read and shuffled, nobody training",
                "{gpu[stream_tokens_per_s]:,.0f} tokens/s",
            ),
        ),
    ),
    Group(
        "The index",
        (
            Row(
                "features a second through the same text, to files that open, over "
                "SAEDashboard 0.8.0: 32,768 tokens; 131,072 tokens",
                "{dashboard_peer[vs_sae_dashboard]:.0f}; "
                "{dashboard_peer[vs_sae_dashboard_long_text]:.0f}",
            ),
            Row(
                "4,096 features over a million tokens, model and map included: time, "
                "peak memory",
                "{index[million_tokens_s]:.0f} s, {index[peak_memory_mb]:.0f} MB",
            ),
            Row(
                "of its CPU time, without model and map, the encoder's product",
                "{index[share_of_gemm]:.2f}",
            ),
            Row(
                "worst relative error of a maximum; of a density that ties do not "
                "explain",
                "{index[max_act_error]:.0e}; {index[density_error]:.0e}",
            ),
            Row(
                "the slowest of 200 features opened; of 200 searches",
                "{index[open_feature_ms]:.0f} ms; {index[search_ms]:.0f} ms",
            ),
        ),
    ),
    Group(
        "The playground",
        (
            Row(
                "tokens a second of one streamed sample over Hugging Face's `generate`",
                "{playground[stream_ratio]:.1f}",
            ),
            Row(
                "in the browser, from the click or key: five samples' first token, "
                "median and slowest; a heatmap of 255 tokens",
                "{playground[first_token_ms]:.0f} ms, "
                "{playground[first_token_slowest_ms]:.0f} ms; "
                "{playground[heatmap_256_ms]:.0f} ms, "
                "{playground[heatmap_256_slowest_ms]:.0f} ms",
            ),
            Row(
                "log-probs' largest gap to Hugging Face's; ranks unlike "
                "`test_prompt`'s, of {playground[ranks]:,}",
                "{playground[logprob_error]:.0e}; {playground[rank_mismatches]}",
            ),
            Row(
                "sessions mixed up, of {playground[sessions]} at once; axe-core's "
                "serious violations on all pages, both themes",
                "{playground[sessions_wrong]}; {playground[axe_serious]}",
            ),
        ),
    ),
    Group(
        "Any model, any text",
        (
            Row(
                "text to activations, tokens a second over Hugging Face's own forward "
                "on ready ids, stopped at the same hook: storybook; the tutorial's "
                "shape",
                "{sources[activations_ratio_storybook]:.1f}; "
                "{sources[activations_ratio_tinystories]:.1f}",
            ),
            Row(
                "from a model's folder to a first sentence's logits, our time over "
                "transformers', the larger of both models",
                "{sources[load_over_transformers]:.2f}",
            ),
            Row(
                "SmolLM2-135M-Instruct, a GGUF file in 4 bits: loaded in; writes",
                "{real_model[load_s]:.0f} s; {real_model[tokens_per_s]:.0f} tokens/s",
            ),
            Row(
                "its SAE (TopK, k 32, 1,536 features of `blocks.15.hook_mlp_out`, "
                "{real_model[training_tokens]:,} tokens of documentation): trained, "
                "evaluated and indexed in; CE loss recovered, explained variance, dead",
                "{real_model[train_and_index_s]:.0f} s; "
                "{real_model[ce_recovered]:.2f}, "
                "{real_model[explained_variance]:.2f}, "
                "{real_model[dead_share]:.0%}",
            ),
            Row(
                "of its live features, those whose rule tells on held-out text where "
                "they fire with a balanced accuracy of 0.75; the median",
                "{real_model[detection_share_smollm2]:.0%}; "
                "{real_model[detection_median_smollm2]:.2f}",
            ),
        ),
    ),
    Group(
        "Why did it say that",
        (
            Row(
                "200 held-out prompts: parts that add up, largest gap to "
                "TransformerLens's logit",
                "{attribution[sum_error]:.0e}",
            ),
            Row(
                "correlation of predicted and measured effects of single features, of "
                "one layer: of the block's output; before the MLP, which the "
                "prediction leaves out",
                "{attribution[ablation_correlation]:.3f}; "
                "{attribution[ablation_correlation_mid]:.3f}",
            ),
            Row(
                "the same where three more layers follow, of a small Llama made for "
                "it: correlation; share of effects with the right sign",
                "{attribution[several_layers_correlation]:.2f}; "
                "{attribution[several_layers_sign]:.0%}",
            ),
            Row(
                "how much of the right name's probability goes with the five features "
                "that attribution names; with five others at the most",
                "{attribution[name_ablation_drop]:.1%}; "
                "{attribution[random_ablation_drop]:.1%}",
            ),
            Row(
                "with two heads that it names; with two others",
                "{attribution[heads_ablation_drop]:.1%}; "
                "{attribution[random_heads_ablation_drop]:.2%}",
            ),
            Row(
                "64 tokens taken apart; changed and run again; CPU time of a steered "
                "token over an unsteered one's",
                "{attribution[attribution_ms]:.0f} ms; "
                "{attribution[ablation_ms]:.0f} ms; "
                "{attribution[steer_time_ratio]:.2f}",
            ),
            Row(
                "steering: of the 20 best-read concepts below 0.5% of the text, made "
                "three times as frequent at 1.5 times the loss at most; by features of "
                "the same density; of the 20 best-read commoner ones",
                "{steering[concepts_steered_of_20]}; "
                "{steering[random_features_steered_of_20]}; "
                "{steering[common_concepts_steered_of_20]}",
            ),
        ),
    ),
    Group(
        "Inside",
        (
            Row(
                "every arc by itself, what the picture foretells against what is "
                "measured, correlation: storybook, {inside[prompts]} held-out prompts; "
                "a small Llama of five layers",
                "{inside[edge_correlation_storybook]:.3f}; "
                "{inside[edge_correlation_several_layers]:.3f}",
            ),
            Row(
                "the same of lamps",
                "{inside[lamp_correlation_storybook]:.3f}; "
                "{inside[lamp_correlation_several_layers]:.3f}",
            ),
            Row(
                "share with the right sign, the least of these four: of parts of at "
                "least 1% of the logit difference; of all",
                "{inside[sign_agreement]:.1%}; {inside[sign_agreement_all]:.1%}",
            ),
            Row(
                "lamps and the rest, largest gap to TransformerLens's logit",
                "{inside[sum_error]:.0e}",
            ),
            Row(
                "of the name's probability, in the page's example, without the path "
                "that the sentence names; without the same head's from another word",
                "{inside[named_path_drop]:.1%}; {inside[control_drop]:.2%}",
            ),
            Row(
                "a picture with what is measured in it: storybook, 64 tokens; five "
                "layers, 40 tokens",
                "{inside[picture_ms_storybook]:.0f} ms; "
                "{inside[picture_ms_several_layers]:.0f} ms",
            ),
            Row(
                "in Chromium: from another sentence to its picture; sent for it",
                "{inside[click_ms]:.0f} ms; {inside[bytes_sent]:,.0f} bytes",
            ),
            Row(
                "played with at least 200 lines, in Chromium without a GPU",
                "{inside[frames_per_s_200_edges]:.0f} frames a second",
            ),
            Row(
                "SmolLM2-135M, 13 tokens, an SAE of random weights",
                "{inside[picture_ms_smollm2]:,.0f} ms",
            ),
        ),
    ),
    Group(
        "Lessons",
        (
            Row(
                "of {lessons[claims]} claims on held-out stories: false; whose control "
                "fails",
                "{lessons[claims_false]}; {lessons[controls_failed]}",
            ),
            Row(
                "the slowest step once its stories are read; when it is opened first",
                "{lessons[lesson_step_ms]:.0f} ms; {lessons[lesson_first_ms]:.0f} ms",
            ),
        ),
    ),
)
