-- By what the master key is known that seals what is in this database (src/key_tag.rs): a digest that says nothing of the key.
CREATE TABLE key_tag (
    id BIGINT NOT NULL PRIMARY KEY,
    tag TEXT COLLATE "C" NOT NULL
);
