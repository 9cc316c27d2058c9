"""Projects with their pictures, examples and reservations; reviews; drafts and versions may belong to a project."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("instructions", sa.String(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("closed", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.create_table(
        "project_pictures",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("picture", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("known", sa.LargeBinary(), nullable=True),
        sa.Column("removed", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "picture", name="pk_project_pictures"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_pictures_project_id_projects"),
        sa.ForeignKeyConstraint(["picture"], ["pictures.digest"], name="fk_project_pictures_picture_pictures"),
    )
    op.create_table(
        "project_examples",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("picture", sa.String(64), nullable=False),
        sa.Column("runs", sa.LargeBinary(), nullable=False),
        sa.Column("caption", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "position", name="pk_project_examples"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_examples_project_id_projects"),
        sa.ForeignKeyConstraint(["picture"], ["pictures.digest"], name="fk_project_examples_picture_pictures"),
    )
    op.create_table(
        "reservations",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("picture", sa.String(64), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "picture", "annotator_id", name="pk_reservations"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_reservations_project_id_projects"),
        sa.ForeignKeyConstraint(["picture"], ["pictures.digest"], name="fk_reservations_picture_pictures"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_reservations_annotator_id_annotators"),
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_reviews_version_id_versions"),
    )
    op.create_index("ix_reviews_version_id", "reviews", ["version_id"])
    for table in ("versions", "drafts"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("project_id", sa.Integer(), nullable=True))
            batch.create_foreign_key(f"fk_{table}_project_id_projects", "projects", ["project_id"], ["id"])
        op.create_index(f"ix_{table}_project_id", table, ["project_id"])
    op.drop_index("ix_drafts_work", "drafts")
    op.create_index("ix_drafts_work", "drafts", ["annotator_id", "picture", "project_id"])
    op.drop_index("uq_versions_free", "versions")
    free, bound = sa.text("project_id IS NULL"), sa.text("project_id IS NOT NULL")
    op.create_index(
        "uq_versions_free", "versions", ["annotator_id", "picture", "number"], unique=True,
        sqlite_where=free, postgresql_where=free,
    )  # fmt: skip
    op.create_index(
        "uq_versions_project", "versions", ["annotator_id", "picture", "project_id", "number"], unique=True,
        sqlite_where=bound, postgresql_where=bound,
    )  # fmt: skip
