-- Tokens: a public prefix to find one by, and the SHA-256 of the whole; never the token.
create table if not exists catalog_tokens
(
    customer_id String,
    name String,
    prefix String,
    hash String,
    created_at DateTime64(3, 'UTC'),
    revoked_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
engine = MergeTree
order by (customer_id, prefix, version)
settings fsync_after_insert = 1
