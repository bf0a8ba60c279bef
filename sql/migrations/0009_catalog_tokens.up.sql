-- Tokens: a public prefix to find one by, and the SHA-256 of the whole; never the token.
create table if not exists catalog_tokens
(
    customer_id String comment 'Account',
    name String comment 'What people call it',
    prefix String comment 'First characters, which are public',
    hash String comment 'SHA-256 of the token',
    created_at DateTime64(3, 'UTC') comment 'When it was added',
    revoked_at Nullable(DateTime64(3, 'UTC')) comment 'When it was revoked',
    is_deleted UInt8 comment '1 where it was deleted',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, prefix, version)
settings fsync_after_insert = 1
comment 'Tokens of accounts, by version'
