-- How the instances of a service share its shards (src/lease.rs). Only Postgres has several instances; the tables are
-- there on both so that there is one schema.

-- Who is there. A process that starts again under its old name has what it held.
CREATE TABLE instance (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    expires_at TIMESTAMPTZ NOT NULL
);

-- Who works on which shard; the holder is empty while nobody does.
CREATE TABLE lease (
    shard BIGINT NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
