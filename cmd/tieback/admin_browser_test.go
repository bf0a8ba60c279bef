package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "folder for screenshots of every admin page, to be looked at")

const adminToken = "an-admin-token-for-tests"

// serveAdmin runs a service with the admin page.
func serveAdmin(t *testing.T, dir string) *running {
	return serve(t, dir, "--listen", "127.0.0.1:0", "--admin-token", adminToken)
}

// goTo opens a page of the service.
func (b *browser) goTo(ctx context.Context, path string) {
	b.t.Helper()
	b.do(ctx, chromedp.Navigate(b.service.address+path))
}

// withText is JavaScript that finds what begins with a text, as people see it.
const withText = `[...document.querySelectorAll(%q)].find(element => element.textContent.trim().startsWith(%q))`

// click clicks what has this text: a button, a link or a summary.
func (b *browser) click(ctx context.Context, text string) {
	b.t.Helper()
	b.run(ctx, fmt.Sprintf(withText+".click()", "main button, main a, main summary", text))
}

// fill fills a field, by its name, of the form that has the button.
func (b *browser) fill(ctx context.Context, button, name, text string) {
	b.t.Helper()
	b.run(ctx, fmt.Sprintf(withText+".form.elements.namedItem(%q).value = %q", "main button", button, name, text))
}

// waits waits for a condition in the page, or in the one that it goes to.
func (b *browser) waits(ctx context.Context, condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		// A page that goes away takes its scripts with it: ask the next one.
		if holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState == "complete" && (`+condition+`)`)); err == nil && holds {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("%s never came true; the page: %s", condition, b.run(ctx, "document.body.innerText"))
}

// shows fails unless the page has the text.
func (b *browser) shows(ctx context.Context, texts ...string) {
	b.t.Helper()
	page := b.run(ctx, "document.body.innerText")
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.t.Errorf("the page %s lacks %q:\n%s", b.run(ctx, "location.pathname"), text, page)
		}
	}
}

func (b *browser) signIn(ctx context.Context) {
	b.t.Helper()
	// By keyboard: the field takes the focus, some time after the page is loaded.
	b.goTo(ctx, "/admin/")
	b.waits(ctx, `document.activeElement.name == "token"`)
	b.do(ctx, chromedp.KeyEvent(adminToken+"\r"))
	b.waits(ctx, `document.title.startsWith("Accounts")`)
	b.do(ctx, chromedp.KeyEvent("\t"))
	if got := b.run(ctx, "document.activeElement.textContent"); got != "Skip to the content" {
		b.t.Errorf("the first stop of the Tab key is %q", got)
	}
}

// The seed's story by clicking: a token, an event, a goal, the page and the backend
// connected, and the result.
func TestAdminStory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := browse(t, serveAdmin(t, dir))
	ctx := b.ctx
	b.goTo(ctx, "/admin/runs")
	b.fill(ctx, "Sign in", "token", "no admin token at all")
	b.click(ctx, "Sign in")
	b.waits(ctx, `!!document.querySelector("[role=alert]")`)
	b.fill(ctx, "Sign in", "token", adminToken)
	b.click(ctx, "Sign in")
	b.waits(ctx, `location.pathname == "/admin/runs"`) // where it was going
	b.check("401")

	b.goTo(ctx, "/admin/")
	b.shows(ctx, "There is no account yet")
	b.fill(ctx, "Add account", "customerId", "123456789")
	b.click(ctx, "Add account")
	b.waits(ctx, `document.title.startsWith("Account settings")`)
	b.shows(ctx, "No token yet")
	b.fill(ctx, "Generate token", "name", "CRM")
	b.click(ctx, "Generate token")
	b.waits(ctx, `!!document.getElementById("secret")`)
	b.service.token = b.run(ctx, `document.getElementById("secret").textContent`)
	b.run(ctx, `document.querySelector("[data-copy=secret]").click()`)
	b.waits(ctx, `/^(Copied|Selected)/.test(document.querySelector("[data-copy=secret]").textContent)`)
	b.goTo(ctx, "/admin/accounts/123456789/settings")
	if page := b.run(ctx, "document.documentElement.outerHTML"); strings.Contains(page, b.service.token) || !strings.Contains(page, "CRM") {
		t.Error("the token is shown a second time, or its name is not")
	}

	b.goTo(ctx, "/admin/accounts/123456789/events")
	b.shows(ctx, "No event yet")
	b.fill(ctx, "Create event", "apiName", "application-accepted")
	b.click(ctx, "Create event")
	b.waits(ctx, `document.querySelector("h2").textContent == "application-accepted"`)

	b.goTo(ctx, "/admin/accounts/123456789/optimizations")
	b.fill(ctx, "Add optimization", "optimizationId", "hero")
	b.fill(ctx, "Add optimization", "name", "Hero test")
	b.run(ctx, `document.querySelectorAll("[name=variationId]").forEach((field, i) => field.value = "ab"[i])`)
	b.click(ctx, "Add optimization")
	b.waits(ctx, `document.title.startsWith("Hero test")`)
	b.click(ctx, "Add goal")
	b.waits(ctx, `document.querySelector("#goals .tag")?.textContent == "primary"`)

	b.goTo(ctx, "/admin/accounts/123456789")
	b.shows(ctx, "Waiting for your first event", "customerId=123456789", `"apiName": "application-accepted"`)
	page := b.tab(ctx)
	b.open(page, "/story")
	b.waits(ctx, `document.querySelectorAll(".done").length == 2`)
	if status, answer := b.service.post("/event", seedBody("23823940", 0)); status != 200 {
		t.Fatal(answer)
	}
	b.waits(ctx, `document.querySelectorAll(".done").length == 3`)
	b.shows(ctx, "Events are coming in")

	// The curl of the page, in a shell, but that it stores nothing.
	curl := b.run(ctx, `document.getElementById("curl").textContent`)
	curl = strings.NewReplacer("TOKEN", b.service.token, "/event ", "/event?validateOnly=true ").Replace(curl)
	if answer, err := exec.Command("sh", "-c", curl).Output(); err != nil || !strings.Contains(string(answer), `"userId":"72349876"`) {
		t.Errorf("%v %s\n%s", err, answer, curl)
	}

	b.goTo(ctx, "/admin/accounts/123456789/try")
	b.waits(ctx, `document.querySelector("[data-visitor]").textContent.length > 10`)
	b.click(ctx, "Report this view")
	b.waits(ctx, `document.querySelector("[data-check=views] [data-count]").textContent == "2"`)

	b.goTo(ctx, "/admin/runs")
	b.click(ctx, "Run now")
	b.waits(ctx, `document.querySelector("td.state")?.textContent == "done"`)
	b.shows(ctx, "Last run started here")
	b.click(ctx, "Run days again")
	b.waits(ctx, `document.querySelectorAll("td.state.done").length == 2`)
	b.goTo(ctx, "/admin/accounts/123456789/optimizations")
	b.click(ctx, "Hero test")
	b.waits(ctx, `document.title.startsWith("Results of Hero test")`)
	b.shows(ctx, "application-accepted (primary goal)", "As of", "too early: the window is over for 0 of ")
	b.click(ctx, "Daily figures")
	b.shows(ctx, "149.99")
	if got := b.run(ctx, `[...document.querySelectorAll("table[data-csv=days] tbody tr")].find(row => row.cells[0].textContent == "b").innerText.replace(/\s+/g, " ")`); !strings.HasPrefix(got, "b 2 1 1 50.00 %") {
		t.Errorf("variation b has %q", got)
	}

	b.goTo(ctx, "/admin/accounts/123456789/conversions")
	b.shows(ctx, "1 received, 1 attributed")
	b.click(ctx, "23823940")
	b.waits(ctx, `document.title.startsWith("A conversion") && document.querySelector(".outcome.attributed")?.textContent == "attributed"`)
	if got := b.run(ctx, `document.querySelectorAll("svg.timeline .winner").length`); got != "1" {
		t.Errorf("%s views win on the timeline:\n%s", got, b.run(ctx, "document.body.innerText"))
	}
	b.shows(ctx, "while a session was open")
	b.check()
}

// TestAdminPages opens every page of a busy account, wide and narrow, light and dark: no
// page is wider than the window, and no console shows an error. With -screens it keeps
// pictures.
func TestAdminPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	importSite(t, dir)
	b := browse(t, serveAdmin(t, dir))
	ctx := b.ctx
	b.picture(ctx, "login", "/admin/login")
	b.signIn(ctx)
	run := must(t, dir, "sql", "select run_id from runs order by run_id desc limit 1", "--format", "TSV")
	for name, path := range map[string]string{
		"accounts": "/admin/", "runs": "/admin/runs", "run": "/admin/runs/" + run,
		"connect": "/admin/accounts/shop", "try": "/admin/accounts/shop/try", "settings": "/admin/accounts/shop/settings", "events": "/admin/accounts/shop/events",
		"optimizations": "/admin/accounts/shop/optimizations", "optimization": "/admin/accounts/shop/optimizations/hero",
		"results": "/admin/accounts/shop/optimizations/hero/results", "conversions": "/admin/accounts/shop/conversions",
		"attributed": "/admin/accounts/shop/conversions/look?apiName=bought&actionId=attributed-1",
		"expired":    "/admin/accounts/shop/conversions/look?apiName=bought&actionId=expired-1",
		"unknown":    "/admin/accounts/shop/conversions/look?apiName=bought&actionId=nothing",
		"import":     "/admin/import", "erase": "/admin/accounts/shop/erase",
		"results-many": "/admin/accounts/shop/optimizations/many/results?by=device", "results-seen": "/admin/accounts/shop/optimizations/seen/results",
		"results-none": "/admin/accounts/new/optimizations/none/results", "results-known": "/admin/accounts/shop/optimizations/hero/results?knownAt=now",
		"results-segment": "/admin/accounts/shop/optimizations/hero/results?segment=device%3Dmobile&cap=0.95&from=" + time.Now().AddDate(0, 0, -14).Format(time.DateOnly) + "&to=" + time.Now().Format(time.DateOnly),
		"empty":           "/admin/accounts/new/optimizations", "problem": "/admin/accounts/nobody",
	} {
		b.picture(ctx, name, path)
	}
	// What people look for is on the screen of a phone, without a swipe.
	b.do(ctx, chromedp.EmulateViewport(390, 844))
	b.goTo(ctx, "/admin/accounts/shop/conversions")
	const right = `Math.max(...[...document.querySelectorAll("thead th:nth-child(3) a, td.outcome")].map(cell => cell.getBoundingClientRect().right)) <= 390`
	if got := b.run(ctx, right); got != "true" {
		t.Errorf("attributed and what became of each are not on a phone's screen: %s", got)
	}
	b.check("404")
}

// picture opens a page in each of its looks.
func (b *browser) picture(ctx context.Context, name, path string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}))
		for width, look := range map[int64]string{1280: "wide", 390: "narrow"} {
			if *screens == "" && (look == "wide") != (scheme == "light") {
				continue // two of the four show what is wrong with any
			}
			b.do(ctx, chromedp.EmulateViewport(width, 844))
			b.goTo(ctx, path)
			if got := b.run(ctx, "document.scrollingElement.scrollWidth"); got != fmt.Sprint(width) {
				b.t.Errorf("%s is %s wide in a window of %d", name, got, width)
			}
			if (look == "wide") == (scheme == "light") {
				b.accessible(ctx, name+", "+look+", "+scheme)
			}
			if *screens == "" {
				continue
			}
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				b.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*screens, name+"-"+look+"-"+scheme+".png"), picture, 0o600); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// accessible asks axe-core what keeps people from using the page: nothing that is serious.
func (b *browser) accessible(ctx context.Context, page string) {
	b.t.Helper()
	script, err := os.ReadFile("../../.engine/node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatal(err)
	}
	const ask = `axe.run().then((found) => window.axeFound = found.passes.length < 10 ? "it checked nothing" : found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
		.map((one) => one.id + ": " + one.help + ": " + one.nodes.map((node) => node.html.slice(0, 200)).join(" | ")).join("\n"))`
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[string]("delete window.axeFound;"+string(script)+";"+ask+";''")); err != nil {
		b.t.Fatal(err)
	}
	b.waits(ctx, "window.axeFound !== undefined")
	if got := b.run(ctx, "window.axeFound"); got != "" {
		b.t.Errorf("%s:\n%s", page, got)
	}
}

// importSite loads three weeks of an account with two variations, conversions of every
// outcome, and an account with nothing.
func importSite(t *testing.T, dir string) {
	t.Helper()
	var lines strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&lines, format+"\n", args...) }
	random := rand.New(rand.NewPCG(1, 2))
	today := time.Now().UTC().Truncate(24 * time.Hour)
	start := today.AddDate(0, 0, -21)
	line(`{"type":"event","customerId":"shop","eventId":"e1","apiName":"bought","from":%d,"to":null}`, start.UnixMilli())
	line(`{"type":"event","customerId":"shop","eventId":"e2","apiName":"trial","from":%d,"to":%d}`, start.UnixMilli(), start.AddDate(0, 0, 5).UnixMilli())
	line(`{"type":"event","customerId":"shop","eventId":"e2","apiName":"trial-started","from":%d,"to":null}`, start.AddDate(0, 0, 5).UnixMilli())
	line(`{"type":"optimization","customerId":"shop","optimizationId":"hero","name":"Hero on the front page","variations":[{"id":"a","name":"As it was","baseline":true},{"id":"b","name":"New photo"},{"id":"c","name":"New words"}],"goals":[{"eventId":"e1","primary":true},{"eventId":"e2"}]}`)
	line(`{"type":"optimization","customerId":"new","optimizationId":"none","name":"Nothing yet","variations":[{"id":"a"}]}`)
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf(`{"id":"variation-%02d","name":"Number %02d of twelve, with a name that goes on for sixty letters"}`, i, i))
	}
	line(`{"type":"optimization","customerId":"shop","optimizationId":"many","name":"All the headlines that the team could think of in one afternoon","variations":[%s],"goals":[{"eventId":"e1","primary":true}]}`, strings.Join(many, ","))
	for i := range 1500 {
		at := start.Add(time.Duration(random.Int64N(int64(21 * 24 * time.Hour)))).UnixMilli()
		line(`{"type":"view","customerId":"shop","visitorId":"v%d","optimizationId":"many","variationId":"variation-%02d","attributes":{"device":%q},"occurredAt":%d}`,
			i, random.IntN(12), []string{"mobile", "desktop"}[i%2], at)
		line(`{"type":"view","customerId":"shop","visitorId":"v%d","optimizationId":"seen","variationId":"%c","occurredAt":%d}`, i, 'x'+random.IntN(2), at)
	}
	for i := range 1500 {
		at := start.Add(time.Duration(random.Int64N(int64(21 * 24 * time.Hour)))).UnixMilli()
		variation := random.IntN(3)
		line(`{"type":"view","customerId":"shop","visitorId":"v%d","optimizationId":"hero","variationId":"%c","attributes":{"device":%q},"occurredAt":%d}`, i, 'a'+variation, []string{"mobile", "desktop"}[i%2], at)
		line(`{"type":"identify","customerId":"shop","visitorId":"v%d","userDomain":"crm","userId":"u%d","occurredAt":%d}`, i, i, at+5000)
		if random.IntN(20) < 3+2*variation {
			line(`{"type":"conversion","customerId":"shop","apiName":"bought","userDomain":"crm","userId":"u%d","actionId":"attributed-%d","actionTimestamp":%d,"receivedAt":%d,"value":%d.5}`,
				i, i, at+600_000, at+900_000, 50+random.IntN(100))
		}
		if i%40 == 1 {
			for _, c := range []struct {
				name, user, action string
				after              time.Duration
			}{
				{"bought", fmt.Sprintf("u%d", i), "attributed", 5 * time.Minute}, {"bought", fmt.Sprintf("u%d", i), "expired", 2 * time.Hour},
				{"bought", "nobody", "unidentified", time.Hour}, {"gone", "nobody", "undefined", time.Hour}, {"bought", fmt.Sprintf("u%d", i), "early", -time.Hour},
			} {
				line(`{"type":"conversion","customerId":"shop","apiName":%q,"userDomain":"crm","userId":%q,"actionId":"%s-%d","actionTimestamp":%d,"receivedAt":%d}`,
					c.name, c.user, c.action, i, at+c.after.Milliseconds(), at+4*3600_000)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "site.ndjson")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "import", file)
	must(t, dir, "run")
}
