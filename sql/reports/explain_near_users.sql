-- Purpose:    User ids that browsers have called setUserId with and that are nearly the one of a conversion: in another
--             domain, in another case or Unicode form, with spaces or leading zeros, or rounded by a spreadsheet.
-- Reads:      identifies
-- Grain:      one row per user id, 5 at most
-- Parameters: customer_id, user_domain, user_id, plain_domain, plain_id, number_from, number_to, digits
-- Notes:      plain_… are without those differences. Numbers from number_from to number_to with so many digits are
--             what a number in scientific notation may have been; digits is 0 where there is none.
with known as
(
    select
        user_domain,
        user_id,
        lowerUTF8(replaceRegexpAll(normalizeUTF8NFKC(user_domain), '[\\s\\v\\x{85}\\p{Z}\\p{Cf}]', '')) as known_domain,
        replaceRegexpOne(
            lowerUTF8(replaceRegexpAll(normalizeUTF8NFKC(user_id), '[\\s\\v\\x{85}\\p{Z}\\p{Cf}]', '')),
            '^0+([0-9]+)$', '\\1'
        ) as known_id
    from identifies
    where customer_id = {customer_id:String}
)
select distinct user_domain, user_id
from known
where (user_domain, user_id) != ({user_domain:String}, {user_id:String})
    and
    (
        known_id = {plain_id:String}
        or {digits:UInt8} > 0
            and known_domain = {plain_domain:String}
            and length(user_id) = {digits:UInt8}
            and match(user_id, '^[0-9]+$')
            and toFloat64OrZero(user_id) between {number_from:Float64} and {number_to:Float64}
        or match(user_id, '^[0-9]([.,][0-9]+)?[eE]\\+?[0-9]+$')
            and known_domain = {plain_domain:String}
            and match({user_id:String}, '^[0-9]{6,}$')
            and abs(toFloat64OrZero(replaceOne(user_id, ',', '.')) / toFloat64OrZero({user_id:String}) - 1) < 0.00001
    )
order by known_domain = {plain_domain:String} desc, user_domain, user_id
limit 5
