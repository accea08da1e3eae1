-- The current relationships, once sorted by resource and once by subject. The key in by_resource has type, id and relation of
-- the resource and then those of the subject, joined by spaces. In by_subject, the subject comes first. created is the revision
-- that wrote the relationship. details has its caveat and its expiration as a core.v1.RelationTuple; it is NULL without both.
-- expires is the expiration in seconds since 1970, for the garbage collection.
CREATE TABLE by_resource (
  key     TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  details BLOB,
  expires INTEGER
) WITHOUT ROWID;

CREATE TABLE by_subject (
  key     TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  details BLOB
) WITHOUT ROWID;

CREATE INDEX by_expiry ON by_resource (expires) WHERE expires IS NOT NULL;

-- Replaced and deleted relationships. Each was current from the revision created until just before the revision ended. key
-- and swapped are its keys in by_resource and by_subject.
CREATE TABLE history (
  ended   INTEGER NOT NULL,
  key     TEXT NOT NULL,
  swapped TEXT NOT NULL,
  created INTEGER NOT NULL,
  details BLOB,
  PRIMARY KEY (ended, key)
) WITHOUT ROWID;

CREATE INDEX history_by_resource ON history (key, ended);
CREATE INDEX history_by_subject ON history (swapped, ended);

-- The definitions of the schema (namespaces and caveats), the schema as a whole, and SpiceDB's counters. ended is 0 for a
-- current row.
CREATE TABLE definition (
  kind       TEXT NOT NULL,
  name       TEXT NOT NULL,
  created    INTEGER NOT NULL,
  ended      INTEGER NOT NULL,
  body       BLOB NOT NULL,
  count      INTEGER, -- of a counter
  counted_at INTEGER, -- the revision of count
  PRIMARY KEY (kind, name, created)
) WITHOUT ROWID;

-- The changes of each write, in one row or, for a large write, in several. The last row is never deleted, since it has the
-- newest revision. relationships is the number of current relationships after the write.
CREATE TABLE change (
  id            INTEGER PRIMARY KEY,
  revision      INTEGER NOT NULL,
  relationships INTEGER NOT NULL,
  metadata      BLOB,
  updates       BLOB
);

-- One row with the id of the store. The garbage collection has deleted the history that ended at or before collected.
CREATE TABLE store (
  id        TEXT NOT NULL,
  collected INTEGER NOT NULL
);
