-- The relationships as they are now, sorted by resource and by subject. A key is type, id and relation of the one, then of
-- the other, with spaces between them. created is the revision since which the relationship is as it is; details, mostly
-- NULL, its caveat and its expiration (a core.v1.RelationTuple); expires, in seconds since 1970, is for the garbage collection.
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

-- The relationships as they were from created until just before ended.
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

-- The schema and the counters: namespaces, caveats, the schema as a whole. ended is 0 for what is valid now.
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

-- What each write changed, in one row or, for large writes, several. The last row is never removed: it says what the newest
-- revision is. relationships is how many there are since then.
CREATE TABLE change (
  id            INTEGER PRIMARY KEY,
  revision      INTEGER NOT NULL,
  relationships INTEGER NOT NULL,
  metadata      BLOB,
  updates       BLOB
);

-- One row. collected: the garbage collection has removed what ended at or before this revision.
CREATE TABLE store (
  id        TEXT NOT NULL,
  collected INTEGER NOT NULL
);
