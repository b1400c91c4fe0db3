"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cd4ml.store.tables import JSON, TEXT, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables, and the triggers that keep the ledger append-only."""
    op.create_table(
        "actors",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", TEXT, nullable=False),
        sa.Column("removed_at", UtcDateTime()),
    )
    op.create_table(
        "tokens",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
        sa.Column("revoked_because", TEXT, nullable=False),
        sa.UniqueConstraint("digest", name="tokens_digest_key"),
    )
    op.create_table(
        "datasets",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("licence", TEXT, nullable=False),
        sa.Column("personal", JSON, nullable=False),
        sa.Column("readers", JSON, nullable=False),
        sa.Column("fresh_within_hours", sa.Double()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_files", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("place", TEXT, nullable=False),
        sa.Column("contract", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("quarantine", TEXT, nullable=False),
        sa.Column("n_quarantined", sa.BigInteger(), nullable=False),
        sa.Column("parents", JSON, nullable=False),
        sa.Column("profile", TEXT, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
    )
    op.create_index("dataset_versions_digest_idx", "dataset_versions", ["digest"])
    op.create_index(
        "dataset_versions_dataset_content_idx", "dataset_versions", ["dataset", "content"]
    )
    op.create_table(
        "removed_versions",
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("removed_at", UtcDateTime(), nullable=False),
        sa.Column("removed_by", TEXT, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.Column("set_by", TEXT, nullable=False),
    )
    op.create_table(
        "stored_files",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("object", TEXT, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
    )
    op.create_index("stored_files_object_idx", "stored_files", ["object"])
    op.create_index("stored_files_size_idx", "stored_files", ["size"])
    op.create_table(
        "pushes",
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("pushed_at", UtcDateTime(), nullable=False),
        sa.Column("pushed_by", TEXT, nullable=False),
    )
    op.create_table(
        "source_marks",
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("asked", TEXT, nullable=False),
        sa.Column("state", JSON, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("experiment", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("search", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("committed_at", UtcDateTime(), nullable=True),
        sa.Column("is_dirty", sa.Boolean(), nullable=False),
        sa.Column("patch", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("folder", TEXT, nullable=False),
        sa.Column("files", TEXT, nullable=False),
        sa.Column("lock", TEXT, nullable=False),
        sa.Column("variables", JSON, nullable=False),
        sa.Column("environment_name", TEXT, nullable=False),
        sa.Column("overrides", JSON, nullable=False),
        sa.Column("partition", TEXT, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("datasets", JSON, nullable=False),
        sa.Column("refs", JSON, nullable=False),
        sa.Column("as_of", UtcDateTime()),
        sa.Column("outputs", JSON, nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
        sa.Column("hardware", JSON, nullable=False),
        sa.Column("cost", sa.Double()),
    )
    op.create_index("runs_experiment_number_idx", "runs", ["experiment", "number"])
    op.create_index("runs_search_idx", "runs", ["search"])
    op.create_index("runs_partition_idx", "runs", ["partition"])
    op.create_table(
        "step_runs",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("step", TEXT, primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("output", TEXT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("peak_memory", sa.BigInteger(), nullable=False),
        sa.Column("worker", TEXT, nullable=False),
        sa.Column("log", TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("beside", JSON, nullable=False),
    )
    op.create_index("step_runs_fingerprint_idx", "step_runs", ["fingerprint"])
    op.create_index("step_runs_output_idx", "step_runs", ["output"])
    op.create_table(
        "metrics",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", sa.Double()),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("logged_at", UtcDateTime(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("lowest", sa.Double()),
        sa.Column("highest", sa.Double()),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("n_points", sa.BigInteger(), nullable=False),
        sa.Column("history_of", sa.BigInteger(), nullable=False),
        sa.Column("tail", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("metrics_name_value_run_idx", "metrics", ["name", "value", "run"])
    op.create_table(
        "experiments",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
        sa.UniqueConstraint("name", name="experiments_name_key"),
    )
    op.create_table(
        "points",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("metric", TEXT, primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "run_artifacts",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("logged_at", UtcDateTime(), nullable=False),
        sa.Column("by", TEXT, nullable=False),
    )
    op.create_index("run_artifacts_address_idx", "run_artifacts", ["address"])
    op.create_table(
        "run_inputs",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("context", TEXT, primary_key=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("source_type", TEXT, nullable=False),
        sa.Column("schema", TEXT, nullable=False),
        sa.Column("profile", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("logged_at", UtcDateTime(), nullable=False),
    )
    op.create_index("run_inputs_digest_idx", "run_inputs", ["digest"])
    op.create_table(
        "run_models",
        sa.Column("run", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("role", TEXT, primary_key=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
    )
    op.create_index("run_models_model_idx", "run_models", ["model"])
    op.create_table(
        "foreign_runs",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("brought_at", UtcDateTime(), nullable=False),
    )
    op.create_index("foreign_runs_run_idx", "foreign_runs", ["run"])
    op.create_table(
        "logged_models",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("experiment", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
    )
    op.create_index("logged_models_experiment_idx", "logged_models", ["experiment"])
    op.create_index("logged_models_run_idx", "logged_models", ["run"])
    op.create_table(
        "logged_model_files",
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
    )
    op.create_index("logged_model_files_address_idx", "logged_model_files", ["address"])
    op.create_table(
        "logged_model_metrics",
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("dataset", TEXT, primary_key=True),
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("logged_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
    )
    op.create_table(
        "searches",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("spent_s", sa.Double(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("created_by", TEXT, nullable=False),
    )
    op.create_index("searches_key_idx", "searches", ["key"])
    op.create_index("searches_state_idx", "searches", ["state"])
    op.create_table(
        "trials",
        sa.Column("search", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("rung", sa.BigInteger(), nullable=False),
        sa.Column("promoted_from", sa.BigInteger()),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("cost", sa.Double()),
    )
    op.create_index("trials_run_idx", "trials", ["run"])
    op.create_table(
        "trial_values",
        sa.Column("search", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("trial", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double()),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.BigInteger(), nullable=False),
        sa.Column("artifact", TEXT, nullable=False),
        sa.Column("contract", TEXT, nullable=False),
        sa.Column("logged", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("card", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("changed_at", UtcDateTime()),
        sa.Column("deleted_at", UtcDateTime()),
    )
    op.create_index("model_versions_artifact_idx", "model_versions", ["artifact"])
    op.create_index("model_versions_run_idx", "model_versions", ["run"])
    op.create_table(
        "aliases",
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", UtcDateTime(), nullable=False),
        sa.Column("moved_by", TEXT, nullable=False),
    )
    op.create_table(
        "trusts",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.Column("given_by", TEXT, nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
        sa.Column("revoked_by", TEXT, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("artifact", TEXT, nullable=False),
        sa.Column("policy", TEXT, nullable=False),
        sa.Column("holdout", TEXT, nullable=False),
        sa.Column("champion", TEXT, nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("findings", JSON, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("judged_at", UtcDateTime(), nullable=False),
        sa.Column("judged_by", TEXT, nullable=False),
    )
    op.create_index("verdicts_run_idx", "verdicts", ["run"])
    op.create_table(
        "approvals",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("decision", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", TEXT, nullable=False),
        sa.Column("expires_at", UtcDateTime()),
    )
    op.create_index("approvals_release_idx", "approvals", ["release"])
    op.create_table(
        "standing_approvals",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("policy", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.Column("given_by", TEXT, nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("basis", JSON, nullable=False),
        sa.Column("margins", JSON, nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
    )
    op.create_index(
        "standing_approvals_model_environment_idx", "standing_approvals", ["model", "environment"]
    )
    op.create_table(
        "releases",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("decides", JSON, nullable=False),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.BigInteger(), nullable=False),
        sa.Column("transitions", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.BigInteger(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=False),
        sa.Column("is_retrained", sa.Boolean(), nullable=False),
        sa.Column("is_emergency", sa.Boolean(), nullable=False),
        sa.Column("review", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("state_reason", TEXT, nullable=False),
        sa.Column("requested_by", TEXT, nullable=False),
        sa.Column("caused_by", TEXT, nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("entered_at", UtcDateTime(), nullable=False),
    )
    op.create_index("releases_model_environment_idx", "releases", ["model", "environment"])
    op.create_index("releases_state_idx", "releases", ["state"])
    op.create_table(
        "plans",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("arms", JSON, nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
    )
    op.create_index(
        "plans_environment_model_number_idx", "plans", ["environment", "model", "number"]
    )
    op.create_table(
        "windows",
        sa.Column("environment", TEXT, primary_key=True),
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("start", UtcDateTime(), primary_key=True),
        sa.Column("end", UtcDateTime(), nullable=False),
        sa.Column("champion", sa.BigInteger(), nullable=False),
        sa.Column("n_predictions", sa.BigInteger(), nullable=False),
        sa.Column("n_labels", sa.BigInteger(), nullable=False),
        sa.Column("coverage", sa.Double(), nullable=False),
        sa.Column("findings", JSON, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("measured_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("window_start", UtcDateTime(), nullable=False),
        sa.Column("window_end", UtcDateTime(), nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("environment", "model", "kind", "window_start"),
    )
    op.create_table(
        "triggers",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("alert", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("fired_at", UtcDateTime(), nullable=False),
    )
    op.create_index("triggers_job_idx", "triggers", ["job"])
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("finished_at", UtcDateTime()),
        sa.UniqueConstraint("key"),
    )
    op.create_index("jobs_state_idx", "jobs", ["state"])
    op.create_table(
        "log_files",
        sa.Column("log", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("day", TEXT, nullable=False),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("first", TEXT, nullable=False),
        sa.Column("last", TEXT, nullable=False),
    )
    op.create_index("log_files_log_day_idx", "log_files", ["log", "day"])
    op.create_table(
        "log_marks",
        sa.Column("log", TEXT, primary_key=True),
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "log_removals",
        sa.Column("log", TEXT, primary_key=True),
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("day", TEXT, nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "answer_counts",
        sa.Column("model", TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("environment", TEXT, primary_key=True),
        sa.Column("role", TEXT, primary_key=True),
        sa.Column("hour", UtcDateTime(), primary_key=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("answer_counts_environment_hour_idx", "answer_counts", ["environment", "hour"])
    op.create_table(
        "ledger",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
    )
    op.create_index("ledger_subject_idx", "ledger", ["subject"])
    op.create_index("ledger_action_idx", "ledger", ["action"])
    op.create_table(
        "nodes",
        sa.Column("address", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "edges",
        sa.Column("child", TEXT, primary_key=True),
        sa.Column("parent", TEXT, primary_key=True),
        sa.Column("role", TEXT, primary_key=True),
    )
    op.create_index("edges_parent_idx", "edges", ["parent"])
    op.create_table(
        "column_edges",
        sa.Column("child", TEXT, primary_key=True),
        sa.Column("column", TEXT, primary_key=True),
        sa.Column("parent", TEXT, primary_key=True),
        sa.Column("source", TEXT, primary_key=True),
    )
    op.create_index("column_edges_parent_source_idx", "column_edges", ["parent", "source"])
    op.create_table(
        "workers",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("environment", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("process", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.BigInteger(), nullable=False),
        sa.Column("n_answered", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "webhook_positions",
        sa.Column("webhook", TEXT, primary_key=True),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("webhook", TEXT, nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("ended_at", UtcDateTime()),
        sa.UniqueConstraint("webhook", "entry"),
    )
    op.create_index(
        "webhook_deliveries_webhook_state_due_at_idx",
        "webhook_deliveries",
        ["webhook", "state", "due_at"],
    )
    op.create_table(
        "sequences",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _protect_ledger_postgres()
        _index_words_postgres()
    else:
        _protect_ledger_sqlite()
        _index_words_sqlite()


def _protect_ledger_sqlite() -> None:
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_no_{action.lower()} BEFORE {action} ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
    # INSERT OR REPLACE deletes without firing a trigger of DELETE
    op.execute(
        "CREATE TRIGGER ledger_no_replace BEFORE INSERT ON ledger "
        "WHEN EXISTS (SELECT 1 FROM ledger WHERE sequence = NEW.sequence OR rowid = NEW.rowid) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    )


def _protect_ledger_postgres() -> None:
    op.execute(
        "CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()"
    )


def _index_words_postgres() -> None:
    op.execute(
        'CREATE TABLE dataset_words (dataset text COLLATE "C" PRIMARY KEY, words tsvector NOT NULL)'
    )
    op.execute("CREATE INDEX dataset_words_words_idx ON dataset_words USING gin (words)")


def _index_words_sqlite() -> None:
    op.execute("CREATE TABLE dataset_words_numbers (id INTEGER PRIMARY KEY, dataset TEXT UNIQUE)")
    # `store.search` cuts texts into words; the tokenizer `ascii` leaves them as they are
    has_fts5 = "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
    if op.get_bind().exec_driver_sql(has_fts5).scalar():
        op.execute(
            "CREATE VIRTUAL TABLE dataset_words USING fts5"
            "(a, b, c, d, tokenize='ascii', detail='column', prefix='1 2 3 4')"
        )
    else:  # some Pythons bring an SQLite without it: searched without an index, then
        op.execute("CREATE TABLE dataset_words (a TEXT, b TEXT, c TEXT, d TEXT)")
