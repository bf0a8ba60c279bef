-- The conversions of a day: users that identified themselves, five events, received
-- within hours.
insert into conversions
    (customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, inserted_at, ingest_id)
with
    cityHash64(number, {day:UInt32}, 9) as conversion,
    (cityHash64(conversion, 1) % intDiv({visitors:UInt64}, 4)) * 4 as visitor
select
    'site-' || toString(visitor % 20),
    'event-' || toString(cityHash64(conversion, 2) % 5),
    'crm',
    'user-' || toString(visitor),
    'action-' || toString({day:UInt32}) || '-' || toString(number),
    toDateTime64(toDate('2025-06-01') + {day:UInt32}, 3, 'UTC') + toIntervalMillisecond(cityHash64(conversion, 3) % 86400000) as at,
    toDecimal64(cityHash64(conversion, 4) % 100000, 4) / 100,
    least(at + toIntervalSecond(cityHash64(conversion, 5) % 14400), toDateTime64(toDate('2025-06-02') + {day:UInt32}, 3, 'UTC') - toIntervalMillisecond(1)) as received,
    received,
    generateUUIDv7(conversion)
from numbers({conversions:UInt64})
settings async_insert = 0
