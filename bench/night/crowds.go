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

// measureCrowds shows what a night takes whose conversions meet very many visitors or views.
func measureCrowds(ctx context.Context) error {
	for _, c := range allCrowds {
		if err := c.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return nil
}

func (c crowd) measure(ctx context.Context) error {
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	params := warehouse.Params{"visitors": c.visitors, "views": c.views, "conversions": c.conversions}
	for _, statement := range []string{
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
	} {
		if err := s.db.Exec(ctx, statement, params.For(statement)); err != nil {
			return err
		}
	}
	took, record, err := s.watched(ctx, jobs.Request{Cutoff: midnight(0)})
	if err != nil {
		return err
	}
	fmt.Printf("%s: night %s, %d MB more than idle at the peak\n", c.what, took.Round(10*time.Millisecond), s.watch.peak()>>20)
	return s.printSteps(ctx, record.RunID)
}
