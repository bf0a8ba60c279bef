package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest/snippet"
	"github.com/tieback/tieback/reports"
)

// connectData is what a site's developers need, with the right ids in it.
type connectData struct {
	Snippet, Curl string
	Events        []catalog.Event
	Origins       []string
	HasToken      bool
	Activity      reports.Activity
	Ever          bool // something has come before the last 24 hours, or in them
}

// What the examples report: the same user on the page and in the backend, so that trying
// both gives an attributed conversion.
const sampleDomain, sampleUser = "salesforce", "72349876"

// sample is an optimization and a variation of the account, or made-up ones.
func sample(snap *catalog.Snapshot, customerID string) (optimizationID, variationID string) {
	optimizationID, variationID = "hero-test", "b"
	if ids := slices.Sorted(maps.Keys(snap.Optimizations[customerID])); len(ids) > 0 {
		optimizationID = ids[0]
		if v := snap.VariationsOf(customerID, ids[0]); len(v) > 0 {
			variationID = v[len(v)-1].VariationID
		}
	}
	return optimizationID, variationID
}

// toText writes a string of JavaScript or JSON that may stand in a page.
func toText(text string) string {
	quoted, _ := json.Marshal(text) // text always can be
	return string(quoted)
}

func (a *Admin) viewConnect(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	id := account.CustomerID
	base := strings.Clone(c.BaseURL())
	data := connectData{Events: begun(liveEvents(snap, id), a.cfg.Now()), Origins: account.Origins, HasToken: len(liveTokens(snap, id)) > 0}
	optimizationID, variationID := sample(snap, id)
	data.Snippet = fmt.Sprintf("<script>%s</script>\n<script async src=\"%s/snippet.js?customerId=%s\"></script>\n"+
		"<script>\n  tieback.ready(function() {\n    // Your system, and the visitor's id in it:\n    tieback.setUserId(%s, %s);\n    // The optimization and the variation shown:\n    tieback.recordView(%s, %s);\n  });\n</script>",
		snippet.Stub, base, url.QueryEscape(id), toText(sampleDomain), toText(sampleUser), toText(optimizationID), toText(variationID))
	name := "application-accepted"
	if len(data.Events) > 0 {
		name = data.Events[0].Current()
	}
	// The shell fills in when it happens and an id of its own each time: a stamp of this page would
	// soon lie before the views, and a second conversion of one id is a duplicate.
	data.Curl = fmt.Sprintf("curl %s \\\n  --header 'Authorization: ApiKey TOKEN' \\\n  --data-raw '{\n    \"customerId\": %s,\n    \"apiName\": %s,\n    \"userDomain\": %s,\n    \"userId\": %s,\n    \"actionId\": \"test-'$(date +%%s)'\",\n    \"actionTimestamp\": '$(date +%%s)000',\n    \"value\": 149.99\n  }'",
		base+"/event", shellJSON(id), shellJSON(name), toText(sampleDomain), toText(sampleUser))
	if data.Activity, err = a.activity(c.UserContext(), id); err != nil {
		return nil, err
	}
	if data.Ever, err = reports.HasEvents(c.UserContext(), a.cfg.DB, id); err != nil {
		return nil, err
	}
	return &view{Title: "Connect " + id, Account: id, Tab: "connect", Data: data}, nil
}

// tryData is what the page on which the script can be tried reports by default.
type tryData struct {
	OptimizationID, VariationID string
	UserDomain, UserID          string
	Refused                     string // this page's origin, if the account's list lacks it
	Activity                    reports.Activity
	Ever                        bool
}

func (a *Admin) viewTry(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	data := tryData{UserDomain: sampleDomain, UserID: sampleUser}
	data.OptimizationID, data.VariationID = sample(snap, account.CustomerID)
	if origin := strings.Clone(c.BaseURL()); !account.AllowsOrigin(origin) {
		data.Refused = origin
	}
	if data.Ever, err = reports.HasEvents(c.UserContext(), a.cfg.DB, account.CustomerID); err != nil {
		return nil, err
	}
	if data.Activity, err = a.activity(c.UserContext(), account.CustomerID); err != nil {
		return nil, err
	}
	return &view{Title: "Try the script", Account: account.CustomerID, Tab: "connect", Data: data}, nil
}

// shellJSON writes text as JSON that may stand between single quotes in a shell.
func shellJSON(text string) string { return strings.ReplaceAll(toText(text), "'", `\u0027`) }
