-- A day of a site with realistic skew: most visitors have a session or two, one in a
-- thousand comes all day long, and sessions have 8 events on average and may go on past
-- midnight.
insert into client_events
    (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, inserted_at, ingest_id)
with
    cityHash64(number, {day:UInt32}) as session,
    {visitors:UInt64} as visitors,
    if(session % 40 = 0, cityHash64(session, 1) % intDiv(visitors, 1000), cityHash64(session, 2) % visitors) as visitor,
    toUnixTimestamp64Milli(toDateTime64(toDate('2025-06-01') + {day:UInt32}, 3, 'UTC')) as midnight_ms,
    midnight_ms + cityHash64(session, 3) % 86400000 as start_ms,
    1 + toUInt32(least(60, -8 * log((cityHash64(session, 4) % 1000000 + 1) / 1000001))) as moments
select
    'site-' || toString(visitor % 20),
    'visitor-' || hex(cityHash64(visitor)),
    multiIf(
        cityHash64(session, position, 5) % 60 = 0 and visitor % 4 = 0, 'identify',
        cityHash64(session, position, 6) % 3 = 0, 'view',
        'activity'
    ) as type,
    if(type = 'view', 'optimization-' || toString(cityHash64(session, position, 7) % 20), ''),
    if(type = 'view', if(cityHash64(visitor) % 2 = 0, 'a', 'b'), ''),
    if(type = 'identify', 'crm', ''),
    if(type = 'identify', 'user-' || toString(visitor), ''),
    fromUnixTimestamp64Milli(toInt64(start_ms + position * 60000 + cityHash64(session, position) % 60000), 'UTC') as at,
    at + toIntervalMillisecond(if(cityHash64(session, position, 8) % 1000 = 0, 300000, 300)) as received,
    received,
    generateUUIDv7(cityHash64(session, position))
from numbers({sessions:UInt64})
array join range(moments) as position
settings max_insert_threads = 2, max_block_size = 65536, min_insert_block_size_rows = 1000000, async_insert = 0
