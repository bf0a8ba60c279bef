package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Of four weeks of a shop: how many visitors come a day, and every how many of them buy, by variation.
const (
	demoShop       = "shop"
	demoShopDays   = 28
	demoShopADay   = 120
	demoBuysEvery  = 12 // of a, the baseline
	demoBuysEveryB = 7
)

// decide loads four weeks of another account and shows what a team decides by.
func (d *demo) decide() error {
	d.title("8. Four weeks of an A/B test, loaded as history")
	file := filepath.Join(d.folder, "shop.ndjson")
	if err := os.WriteFile(file, []byte(d.shopHistory()), 0o600); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	for _, command := range [][]string{{"import", file}, {"run", "--cutoff", "now"}} {
		if _, err := d.tieback(command...); err != nil {
			return err
		}
	}
	d.say("", "The same people were shown two headlines; whoever buys calls the shop, up to three days later.")
	results, err := d.tieback("results", demoShop, "headline")
	if err != nil {
		return err
	}
	if !strings.Contains(results, "bought (primary goal): better: ") {
		return errors.New("the results are not what they should be: this is a fault of tieback, please report it")
	}
	return nil
}

// shopHistory are lines as import reads them.
func (d *demo) shopHistory() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	first := d.present.Truncate(24*time.Hour).AddDate(0, 0, -demoShopDays)
	line(`{"type":"event","customerId":%q,"eventId":"bought","apiName":"bought","from":%d,"to":null}`, demoShop, first.UnixMilli())
	line(`{"type":"rule","customerId":%q,"eventId":"bought","window":"3d","credit":"last","from":%d,"to":null}`, demoShop, first.UnixMilli())
	line(`{"type":"optimization","customerId":%q,"optimizationId":"headline","name":"Headline","variations":[{"id":"a","name":"As it was","baseline":true},{"id":"b","name":"New words"}],"goals":[{"eventId":"bought","primary":true}]}`, demoShop)
	for visitor := range demoShopDays * demoShopADay {
		at := first.AddDate(0, 0, visitor/demoShopADay).Add(time.Duration(visitor%demoShopADay) * 11 * time.Minute)
		variation, every := "a", demoBuysEvery
		if visitor%2 == 1 {
			variation, every = "b", demoBuysEveryB
		}
		line(`{"type":"view","customerId":%q,"visitorId":"v%d","optimizationId":"headline","variationId":%q,"attributes":{"device":%q},"occurredAt":%d}`,
			demoShop, visitor, variation, []string{"desktop", "mobile", "mobile"}[visitor/10%3], at.UnixMilli())
		line(`{"type":"identify","customerId":%q,"visitorId":"v%d","userDomain":"phone","userId":"u%d","occurredAt":%d}`, demoShop, visitor, visitor, at.Add(time.Minute).UnixMilli())
		if visitor/2%every == 0 {
			bought := at.Add(time.Duration(visitor%60+1) * time.Hour)
			if bought.Before(d.present) {
				line(`{"type":"conversion","customerId":%q,"apiName":"bought","userDomain":"phone","userId":"u%d","actionId":"order-%d","actionTimestamp":%d,"value":%d.5}`,
					demoShop, visitor, visitor, bought.UnixMilli(), 20+visitor%80)
			}
		}
	}
	return b.String()
}
