-- The index of one repository, version 4. Names and paths are BLOBs: they need not be UTF-8.
-- kind: 0 removed, 1 file, 2 folder, 3 symbolic link. Times are nanoseconds since 1970.

CREATE TABLE version (
  id         INTEGER PRIMARY KEY,
  sha256     BLOB NOT NULL UNIQUE,   -- 32 bytes: the identity, and the file name in the version store
  xxh3       BLOB NOT NULL UNIQUE,   -- 16 bytes: an alias; the constraint refuses a second meaning
  size       INTEGER NOT NULL,
  stored_ns  INTEGER NOT NULL,       -- when its bytes first came; the mtime of entries staged by hash
  renewed_ns INTEGER NOT NULL,       -- last put, found or unstaged: gc leaves it alone for a while after
  synced     INTEGER NOT NULL        -- 0 until its bytes survive power loss
) STRICT;
CREATE INDEX version_unsynced ON version (id) WHERE synced = 0;

-- A lineage is a line of commits without forks. The rows visible from a commit are those of its own lineage
-- up to it, and those of the parent lineage up to the fork.
CREATE TABLE lineage (
  id       INTEGER PRIMARY KEY,
  parent   INTEGER,                  -- NULL for the first
  fork_seq INTEGER                   -- the last visible commit of the parent
) STRICT;

CREATE TABLE commit_log (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with time: a child is larger than its parent
  id      TEXT NOT NULL UNIQUE,               -- 32 hex digits, what users see
  lineage INTEGER NOT NULL,
  parent  INTEGER,                            -- seq
  message TEXT NOT NULL,
  author  TEXT NOT NULL,
  email   TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  merged  INTEGER                             -- seq: the second parent of a merge (since version 2)
) STRICT;
CREATE INDEX commit_by_lineage ON commit_log (lineage, seq);

CREATE TABLE branch (
  name TEXT PRIMARY KEY,
  head INTEGER NOT NULL              -- commit seq
) STRICT, WITHOUT ROWID;

-- Folders are identities, not paths: renaming one changes one name, whatever is in it. Folder 1 is the root.
CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;
INSERT INTO folder (id) VALUES (1);

-- What a commit changed. The entry of (folder, name) at a commit is the visible row with the largest seq.
CREATE TABLE tree_entry (
  folder     INTEGER NOT NULL,
  name       BLOB NOT NULL,
  seq        INTEGER NOT NULL,       -- the commit
  lineage    INTEGER NOT NULL,
  kind       INTEGER NOT NULL,
  version    INTEGER,                -- files
  child      INTEGER,                -- folders
  size       INTEGER NOT NULL,
  executable INTEGER NOT NULL,
  mtime_ns   INTEGER NOT NULL,
  PRIMARY KEY (folder, name, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX tree_entry_by_child ON tree_entry (child, seq) WHERE child IS NOT NULL;
CREATE INDEX tree_entry_by_commit ON tree_entry (seq);

CREATE TABLE workspace (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  uid        TEXT NOT NULL UNIQUE,   -- what clients call its id
  name       TEXT UNIQUE,            -- a named workspace continues after a commit
  branch     TEXT NOT NULL,
  base       INTEGER NOT NULL,       -- commit seq
  change_seq INTEGER NOT NULL,       -- grows with every change, for other processes' mounts
  report     INTEGER,                -- version of the newest result report
  created_ns INTEGER NOT NULL
) STRICT;

-- The rows a workspace lays over its base.
CREATE TABLE staged_entry (
  workspace  INTEGER NOT NULL,
  folder     INTEGER NOT NULL,
  name       BLOB NOT NULL,
  kind       INTEGER NOT NULL,
  state      INTEGER NOT NULL,       -- 0 kept (folder, time, scratch, link), 1 added, 2 modified, 3 removed
  scratch    INTEGER NOT NULL,       -- 1: visible in the mount, never staged
  version    INTEGER,
  child      INTEGER,
  size       INTEGER NOT NULL,
  executable INTEGER NOT NULL,
  mtime_ns   INTEGER NOT NULL,
  target     BLOB,                   -- symbolic links
  PRIMARY KEY (workspace, folder, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX staged_entry_by_child ON staged_entry (workspace, child) WHERE child IS NOT NULL;

-- What was staged at a path before a close() whose bytes may not survive power loss yet. No row: nothing was.
CREATE TABLE unsynced_entry (
  workspace  INTEGER NOT NULL,
  folder     INTEGER NOT NULL,
  name       BLOB NOT NULL,
  version    INTEGER NOT NULL,       -- the version whose sync ends the doubt
  kind       INTEGER,
  state      INTEGER,
  scratch    INTEGER,
  old        INTEGER,                -- version
  child      INTEGER,
  size       INTEGER,
  executable INTEGER,
  mtime_ns   INTEGER,
  target     BLOB,
  PRIMARY KEY (workspace, folder, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX unsynced_entry_by_version ON unsynced_entry (version);

-- The newest change of each folder of a workspace, by who made it: what a mount looks at again.
CREATE TABLE folder_change (
  workspace INTEGER NOT NULL,
  folder    INTEGER NOT NULL,
  writer    INTEGER NOT NULL,        -- a mount's own number; 0: anybody else
  seq       INTEGER NOT NULL,
  PRIMARY KEY (workspace, folder, writer)
) STRICT, WITHOUT ROWID;
CREATE INDEX folder_change_by_seq ON folder_change (workspace, seq);

-- Manifests and reports in .stagefs/inbox.
CREATE TABLE inbox_file (
  workspace INTEGER NOT NULL,
  directory BLOB NOT NULL,           -- the folder entries are staged into
  name      BLOB NOT NULL,
  version   INTEGER NOT NULL,
  size      INTEGER NOT NULL,
  mtime_ns  INTEGER NOT NULL,
  PRIMARY KEY (workspace, directory, name)
) STRICT, WITHOUT ROWID;

-- Working copies that fsync() made durable: after a crash they are staged if their path did not change.
CREATE TABLE working_copy (
  file         TEXT PRIMARY KEY,     -- below incoming/
  workspace    INTEGER NOT NULL,
  folder       INTEGER NOT NULL,
  name         BLOB NOT NULL,
  base_version INTEGER               -- what the path held when it was opened; NULL: nothing
) STRICT, WITHOUT ROWID;

-- Live mounts. A row whose process is gone is dropped by whoever sees it.
CREATE TABLE mount (
  host       TEXT NOT NULL DEFAULT '',     -- whose pids are meant (since version 4)
  mountpoint BLOB NOT NULL,
  workspace  INTEGER NOT NULL,
  writer     INTEGER NOT NULL DEFAULT -1,  -- the mount's own number (since version 3)
  pid        INTEGER NOT NULL,
  started    INTEGER NOT NULL,             -- of the process, in clock ticks since boot: a pid alone is reused
  seen_ns    INTEGER NOT NULL DEFAULT 0,   -- when it last said that it lives (since version 4)
  PRIMARY KEY (host, mountpoint)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
