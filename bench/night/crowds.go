package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
)

// crowd is an account in which very much belongs together: a login that many share, a placeholder for a
// user id, a robot.
type crowd struct {
	what                         string
	visitors, views, conversions uint64 // views of each visitor, conversions of the one user
}

var allCrowds = []crowd{
	{"one user id on 50,000 visitors with 2 views and 100 conversions", 50_000, 2, 100},
	{"one user id on 1,000 visitors with 20 views each and 20,000 conversions", 1_000, 20, 20_000},
	{"one visitor with 200,000 views and 500 conversions", 1, 200_000, 500},
}

// kiosk is the mirror case: one browser on which many customers are identified.
const kiosk = "one visitor with 6,000 views over 300 days, on which 20,000 users are identified, with a conversion each"

// measureCrowds shows what a night takes whose conversions meet very many visitors or views.
func measureCrowds(ctx context.Context) error {
	for _, c := range allCrowds {
		if err := c.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return measure(ctx, kiosk, nil,
		`insert into client_events (customer_id, visitor_id, type, user_domain, user_id, occurred_at, received_at, ingest_id)
		select 'site-1', 'kiosk', 'identify', 'crm', toString(number), toDateTime64('2025-01-01 09:01:00', 3, 'UTC') + toIntervalDay(number % 300) + toIntervalMillisecond(number) as at, at, generateUUIDv7(number)
		from numbers(20000)`,
		`insert into client_events (customer_id, visitor_id, type, optimization_id, variation_id, occurred_at, received_at, ingest_id)
		select 'site-1', 'kiosk', 'view', 'optimization-' || toString(intDiv(number, 300)), 'a',
			toDateTime64('2025-01-01 09:00:00', 3, 'UTC') + toIntervalDay(number % 300) + toIntervalSecond(intDiv(number, 300)) as at, at, generateUUIDv7(number)
		from numbers(6000)`,
		`insert into conversions (customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id)
		select 'site-1', 'event-1', 'crm', toString(number), toString(number),
			toDateTime64('2025-01-01 09:02:00', 3, 'UTC') + toIntervalDay(number % 300) + toIntervalMillisecond(number) as at, 1, at, generateUUIDv7(number)
		from numbers(20000)`,
	)
}

func (c crowd) measure(ctx context.Context) error {
	return measure(ctx, c.what, warehouse.Params{"visitors": c.visitors, "views": c.views, "conversions": c.conversions},
		`insert into client_events (customer_id, visitor_id, type, user_domain, user_id, occurred_at, received_at, ingest_id)
		select 'site-1', 'visitor-' || toString(number), 'identify', 'crm', 'office', toDateTime64('2025-06-01 09:00:00', 3, 'UTC') as at, at, generateUUIDv7(number)
		from numbers({visitors:UInt64})`,
		`insert into client_events (customer_id, visitor_id, type, optimization_id, variation_id, occurred_at, received_at, ingest_id)
		select 'site-1', 'visitor-' || toString(number % {visitors:UInt64}), 'view', 'optimization-' || toString(number % 7), if(number % 2 = 0, 'a', 'b'),
			toDateTime64('2025-06-01 09:00:00', 3, 'UTC') + toIntervalMillisecond(intDiv(number, {visitors:UInt64}) * intDiv(3600000, {views:UInt64})) as at, at, generateUUIDv7(number)
		from numbers({visitors:UInt64} * {views:UInt64})`,
		`insert into conversions (customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id)
		select 'site-1', 'event-' || toString(number % 5), 'crm', 'office', toString(number),
			toDateTime64('2025-06-01 09:10:00', 3, 'UTC') + toIntervalMillisecond(number * intDiv(3600000, {conversions:UInt64})) as at, 1, at, generateUUIDv7(number)
		from numbers({conversions:UInt64})`,
	)
}

// measure runs a night over what the statements insert.
func measure(ctx context.Context, what string, params warehouse.Params, statements ...string) error {
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for _, statement := range statements {
		if err := s.db.Exec(ctx, statement, params.For(statement)); err != nil {
			return err
		}
	}
	took, record, err := s.watched(ctx, jobs.Request{})
	if err != nil {
		return err
	}
	fmt.Printf("%s: night %s, %d MB more than idle at the peak\n", what, took.Round(10*time.Millisecond), s.watch.peak()>>20)
	return s.printSteps(ctx, record.RunID)
}
