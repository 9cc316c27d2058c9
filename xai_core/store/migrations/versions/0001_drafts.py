"""Annotators, pictures, drafts with their strokes, submitted versions, and the history."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "annotators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotators"),
        sa.UniqueConstraint("name", name="uq_annotators_name"),
    )
    op.create_table(
        "pictures",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("added", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_pictures"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("picture", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("runs", sa.LargeBinary(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("tools", sa.JSON(), nullable=False),
        sa.Column("smart", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("submitted", MOMENT, nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("deleted", MOMENT, nullable=True),
        sa.Column("deleted_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_versions_annotator_id_annotators"),
        sa.ForeignKeyConstraint(["picture"], ["pictures.digest"], name="fk_versions_picture_pictures"),
    )
    op.create_index("ix_versions_picture", "versions", ["picture"])
    op.create_index("uq_versions_free", "versions", ["annotator_id", "picture", "number"], unique=True)
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("picture", sa.String(64), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("begun_from", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("parent_number", sa.Integer(), nullable=True),
        sa.Column("begun_tools", sa.JSON(), nullable=False),
        sa.Column("base", sa.LargeBinary(), nullable=True),
        sa.Column("base_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("started", MOMENT, nullable=False),
        sa.Column("changed", MOMENT, nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("discarded", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_drafts"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_drafts_annotator_id_annotators"),
        sa.ForeignKeyConstraint(["picture"], ["pictures.digest"], name="fk_drafts_picture_pictures"),
        sa.ForeignKeyConstraint(["begun_from"], ["versions.id"], name="fk_drafts_begun_from_versions"),
        sa.ForeignKeyConstraint(["parent_id"], ["drafts.id"], name="fk_drafts_parent_id_drafts"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_drafts_version_id_versions"),
    )
    op.create_index("ix_drafts_work", "drafts", ["annotator_id", "picture"])
    op.create_index("ix_drafts_parent_id", "drafts", ["parent_id"])
    op.create_table(
        "strokes",
        sa.Column("draft_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("saved", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("draft_id", "number", name="pk_strokes"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name="fk_strokes_draft_id_drafts"),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
    )
    op.create_index("ix_history_subject", "history", ["kind", "subject"])
