"""The tables as the newest revision in `migrations` leaves them; no object of these classes leaves the package."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time: UTC in the database, aware of it in Python."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment, dict[str, int]: sa.JSON}  # noqa: RUF012


class Annotator(Base):
    __tablename__ = "annotators"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created: Mapped[datetime]


class StoredPicture(Base):
    """A picture by its digest; its pixels are a PNG in the data folder."""

    __tablename__ = "pictures"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str]
    title: Mapped[str]
    licence: Mapped[str]
    source: Mapped[str]
    height: Mapped[int]
    width: Mapped[int]
    added: Mapped[datetime]


class StoredVersion(Base):
    """A submitted mask: `runs` never change; deletion is `deleted` with `deleted_by`."""

    __tablename__ = "versions"
    __table_args__ = (
        sa.Index(
            "uq_versions_free", "annotator_id", "picture", "number", unique=True,
            sqlite_where=sa.text("project_id IS NULL"), postgresql_where=sa.text("project_id IS NULL"),
        ),
        sa.Index(
            "uq_versions_project", "annotator_id", "picture", "project_id", "number", unique=True,
            sqlite_where=sa.text("project_id IS NOT NULL"), postgresql_where=sa.text("project_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"))
    picture: Mapped[str] = mapped_column(sa.ForeignKey("pictures.digest"), index=True)
    project_id: Mapped[int | None] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    number: Mapped[int]
    runs: Mapped[bytes]
    seconds: Mapped[float | None]
    tools: Mapped[dict[str, int]]
    smart: Mapped[bool]
    origin: Mapped[str]
    submitted: Mapped[datetime]
    submitted_by: Mapped[str]
    deleted: Mapped[datetime | None]
    deleted_by: Mapped[str | None]


class StoredDraft(Base):
    """What a tab draws: `base` holds the strokes up to `base_number`, the table `strokes` those up to `number`.

    `begun_tools` and the base of number 0 come from the draft or version that it went on from.
    """

    __tablename__ = "drafts"
    __table_args__ = (sa.Index("ix_drafts_work", "annotator_id", "picture", "project_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"))
    picture: Mapped[str] = mapped_column(sa.ForeignKey("pictures.digest"))
    project_id: Mapped[int | None] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    client: Mapped[str]
    begun_from: Mapped[int | None] = mapped_column(sa.ForeignKey("versions.id"))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("drafts.id"), index=True)
    parent_number: Mapped[int | None]
    begun_tools: Mapped[dict[str, int]]
    base: Mapped[bytes | None]
    base_number: Mapped[int]
    number: Mapped[int]
    seconds: Mapped[float]
    started: Mapped[datetime]
    changed: Mapped[datetime]
    version_id: Mapped[int | None] = mapped_column(sa.ForeignKey("versions.id"))
    discarded: Mapped[datetime | None]


class StoredStroke(Base):
    """One stroke of a draft; `counts` is empty once the draft's base has it."""

    __tablename__ = "strokes"

    draft_id: Mapped[int] = mapped_column(sa.ForeignKey("drafts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tool: Mapped[str]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    counts: Mapped[bytes | None]
    digest: Mapped[str] = mapped_column(sa.String(64))
    saved: Mapped[datetime]


class Event(Base):
    """Who did what and when; rows are only ever added."""

    __tablename__ = "history"
    __table_args__ = (sa.Index("ix_history_subject", "kind", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    action: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[int]
    detail: Mapped[str]


class StoredProject(Base):
    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    instructions: Mapped[str]
    wanted: Mapped[int]
    created: Mapped[datetime]
    closed: Mapped[datetime | None]


class ProjectPicture(Base):
    """A picture of a project; one with a `known` mask is a control."""

    __tablename__ = "project_pictures"

    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    picture: Mapped[str] = mapped_column(sa.ForeignKey("pictures.digest"), primary_key=True)
    position: Mapped[int]
    question: Mapped[str]
    known: Mapped[bytes | None]
    removed: Mapped[datetime | None]


class ProjectExample(Base):
    __tablename__ = "project_examples"

    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    picture: Mapped[str] = mapped_column(sa.ForeignKey("pictures.digest"))
    runs: Mapped[bytes]
    caption: Mapped[str]


class Reservation(Base):
    """Since when a picture of a project lies before an annotator."""

    __tablename__ = "reservations"

    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    picture: Mapped[str] = mapped_column(sa.ForeignKey("pictures.digest"), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(sa.ForeignKey("annotators.id"), primary_key=True)
    at: Mapped[datetime]


class StoredReview(Base):
    """What a reviewer said of a version; the newest one counts."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(sa.ForeignKey("versions.id"), index=True)
    who: Mapped[str]
    at: Mapped[datetime]
    accepted: Mapped[bool]
    comment: Mapped[str]
