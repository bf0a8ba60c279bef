package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tieback/tieback/ingest/snippet"
)

// browser is a real one, a running service, and a site whose pages load its script.
type browser struct {
	t       *testing.T
	service *running
	gate    *httptest.Server // before the service; shut, it drops connections
	shut    atomic.Bool
	site    *httptest.Server
	ctx     context.Context // of the first tab

	mu       sync.Mutex
	errors   []string // of the consoles
	warnings []string
	asked    []string      // requests of the pages to their own site
	stored   []string      // bodies that the service has answered
	show     chan struct{} // closed when the page that speculates shall go on
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	service := serve(t, dir)
	service.token = configure(t, dir)
	return browse(t, service)
}

// browse starts a browser and a site for a running service.
func browse(t *testing.T, service *running) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT TESTED in a browser: chromium is not installed (apt-get install chromium)")
	}
	b := &browser{t: t, service: service, show: make(chan struct{})}
	target, err := url.Parse(b.service.address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	b.gate = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.shut.Load() {
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body) // one that broke off is short for the service, too
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
		b.mu.Lock()
		b.stored = append(b.stored, string(body))
		b.mu.Unlock()
	}))
	t.Cleanup(b.gate.Close)
	b.site = httptest.NewServer(http.HandlerFunc(b.servePage))
	t.Cleanup(b.site.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP *.example.test 127.0.0.1"))
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	b.ctx = b.tab(allocated)
	return b
}

// tab opens one; what goes wrong in it fails the test.
func (b *browser) tab(parent context.Context) context.Context {
	ctx, cancel := chromedp.NewContext(parent)
	b.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	b.t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeWarning {
				var words []string
				for _, argument := range e.Args {
					words = append(words, string(argument.Value), argument.Description)
				}
				b.warnings = append(b.warnings, strings.Join(words, " "))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.URL, "favicon") {
				b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, runtime.Enable} {
		b.do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, enable, cdp.Empty{})
			return err
		}))
	}
	return ctx
}

func (b *browser) do(ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// run runs JavaScript in a page and returns what it gives, as text.
func (b *browser) run(ctx context.Context, script string) string {
	b.t.Helper()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return result
}

// loaded waits until a page has its script.
func (b *browser) loaded(ctx context.Context) {
	b.t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!(window.tieback && tieback.visitorId)")); err != nil {
		b.t.Fatal(err)
	}
}

// servePage answers /NAME with a page that loads the script, some with more in them.
func (b *browser) servePage(w http.ResponseWriter, r *http.Request) {
	source := b.gate.URL + "/snippet.js?customerId=123456789"
	tags := fmt.Sprintf(`<script nonce="n">%s</script><script async src="%s"></script>`, snippet.Stub, source)
	b.mu.Lock()
	b.asked = append(b.asked, r.Method+" "+r.URL.String())
	b.mu.Unlock()
	switch r.URL.Path {
	case "/favicon.ico", "/said":
		return
	case "/submit":
		// A backend that approves as soon as the service knows who the visitor is. The page is there
		// until it answers, and says no goodbye before.
		if !becomes(time.Minute, func() bool { return b.identified(r.FormValue("application")) }) {
			http.Error(w, "the service was never told", http.StatusGatewayTimeout)
			return
		}
		if status, answer := b.service.post("/event", seedBodyOf(r.FormValue("application"))); status != 200 {
			http.Error(w, answer, http.StatusBadGateway)
		}
		return
	case "/form":
		// Without timers nothing that waits for one goes out.
		tags = `<script>window.setTimeout = function() {}</script>` + tags + `<form id="f" method="post" action="/submit"><input name="application" value="form"></form><script>
			tieback.ready(function() { tieback.recordView("hero", "b"); });
			f.addEventListener("submit", function() { intellimize.ready(function() { intellimize.setUserId("applicationId", "form"); }); });
		</script>`
	case "/shared":
		tags = strings.Replace(tags, source, source+"&amp;domain=example.test", 1)
	case "/module", "/integrity":
		script := b.gate.URL + "/snippet.js?customerId=123456789"
		attributes := `type="module"`
		if r.URL.Path == "/integrity" {
			attributes = `crossorigin="anonymous" integrity="` + b.integrity(script) + `"`
		}
		tags = fmt.Sprintf(`<script>%s</script><script %s src="%s"></script><script>tieback.recordView(%q, "a")</script>`, snippet.Stub, attributes, script, r.URL.Path)
	case "/imported":
		tags = fmt.Sprintf(`<script>%s; import("%s"); tieback.recordView("/imported", "a")</script>`, snippet.Stub, source)
	case "/speculates":
		tags += `<script type="speculationrules">{"prerender":[{"source":"list","urls":["/prerendered"],"eagerness":"immediate"}]}</script><script>
			tieback.ready(function() { tieback.recordView("speculates", "a"); });
			fetch("/show").then(function() { location.href = "/prerendered"; });
		</script>`
	case "/show":
		select {
		case <-b.show:
		case <-r.Context().Done():
		}
		return
	case "/prerendered":
		tags += `<script>
			tieback.ready(function() {
				tieback.recordView("prerendered", "b");
				if (document.prerendering) setTimeout(function() { fetch("/said?prerendering") }, 1500); // longer than a batch waits
				document.addEventListener("prerenderingchange", function() {
					fetch("/said?shown,activated=" + (performance.getEntriesByType("navigation")[0].activationStart > 0));
				});
			});
		</script>`
	case "/story":
		tags += `<script>intellimize.ready(function() { wf.recordView("hero", "b"); intellimize.setUserId("salesforce", "72349876"); });</script>`
	case "/strict":
		w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'nonce-n' %[1]s; connect-src %[1]s", b.gate.URL))
		tags += `<script nonce="n">tieback.recordView("strict", "a")</script>`
	case "/blocked":
		framed := strings.ReplaceAll(tags+`<script>tieback.recordView("blocked", "a")</script>`, `"`, "&quot;")
		tags = `<iframe sandbox="allow-scripts" srcdoc="` + framed + `"></iframe>`
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Page</title>%s<p>A page", tags)
}

func (b *browser) open(ctx context.Context, path string) {
	b.t.Helper()
	b.do(ctx, chromedp.Navigate(b.site.URL+path))
	if path != "/blocked" {
		b.loaded(ctx)
	}
}

func (b *browser) sql(query string) string {
	b.t.Helper()
	return must(b.t, b.service.dataDir, "sql", query, "--format", "TSV")
}

// arrives waits until the query gives what is wanted.
func (b *browser) arrives(query, want string) {
	b.t.Helper()
	got := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if got = b.sql(query); got == want {
			return
		}
	}
	b.t.Errorf("%s gives %q, expected %q", query, got, want)
}

// check fails the test for what the consoles have shown, apart from what is expected.
func (b *browser) check(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.errors {
		known := false
		for _, e := range expected {
			known = known || strings.Contains(text, e)
		}
		if !known {
			b.t.Errorf("the console shows %s", text)
		}
	}
	b.errors = nil
}

// The seed's page, in a real browser, up to the attributed conversion; one visitor over
// reloads and tabs.
func TestBrowserStory(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	must(t, b.service.dataDir, "account", "add", "123456789", "--origin", b.site.URL)
	b.open(b.ctx, "/story")
	b.arrives("select arraySort(groupUniqArray(type)), uniqExact(visitor_id) from client_events", "['activity','identify','view']\t1")
	visitor := b.run(b.ctx, "tieback.visitorId()")
	b.do(b.ctx, chromedp.Reload())
	b.loaded(b.ctx)
	second := b.tab(b.ctx)
	b.open(second, "/other")
	for _, ctx := range []context.Context{b.ctx, second} {
		if got := b.run(ctx, "tieback.visitorId()"); got != visitor || got == "" {
			t.Errorf("the visitor was %q and is %q", visitor, got)
		}
	}
	if got := b.run(b.ctx, "window.tieback === wf && wf === intellimize"); got != "true" {
		t.Error("tieback, wf and intellimize are not one")
	}
	if status, answer := b.service.post("/event", seedBody("1", 0)); status != 200 {
		t.Fatal(answer)
	}
	must(t, b.service.dataDir, "run", "--cutoff", "now")
	b.arrives("select variation_id, visitor_id from attributions", "b\t"+visitor)
	b.check()
}

// What is reported as the page goes away, and while the network is gone, arrives.
func TestBrowserLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	const views = "select count(), uniqExact(ingest_id) from client_events where optimization_id = "
	b.open(b.ctx, "/page")
	b.run(b.ctx, `tieback.recordView("unload", "a")`)
	b.do(b.ctx, chromedp.Navigate("about:blank"))
	b.arrives(views+"'unload'", "1\t1")

	b.open(b.ctx, "/page")
	b.arrives("select count() > 1 from client_events where type = 'activity'", "1")
	b.shut.Store(true)
	b.run(b.ctx, `tieback.recordView("away", "a")`)
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`performance.getEntriesByType("resource").filter(r => r.name.endsWith("/collect")).length > 1`)); err != nil {
		t.Fatal(err)
	}
	b.shut.Store(false)
	b.arrives(views+"'away'", "1\t1")

	// A page that went away while the service did: the next page sends it.
	b.open(b.ctx, "/page")
	b.run(b.ctx, `Object.defineProperty(navigator, "onLine", {get: () => false})`)
	b.run(b.ctx, `tieback.recordView("kept", "a")`)
	b.open(b.ctx, "/other")
	b.arrives(views+"'kept'", "1\t1")

	// Offline as browsers are on a train, and back.
	b.offline(b.ctx, true)
	b.run(b.ctx, `tieback.recordView("train", "a")`)
	b.waits(b.ctx, `!navigator.onLine`)
	b.offline(b.ctx, false)
	b.arrives(views+"'train'", "1\t1")
	b.check("ERR_INTERNET_DISCONNECTED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION")
}

// offline takes the network from a tab, or gives it back.
func (b *browser) offline(ctx context.Context, away bool) {
	b.t.Helper()
	b.do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		conditions := []*network.Conditions{{Offline: away, DownloadThroughput: -1, UploadThroughput: -1}}
		_, err := cdp.Call(ctx, t, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: conditions})
		if err == nil {
			_, err = cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: away, DownloadThroughput: -1, UploadThroughput: -1})
		}
		return err
	}))
}

// Storage that is blocked, a strict policy, and visitors who don't want it.
func TestBrowserRespects(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.open(b.ctx, "/strict")
	b.arrives("select count() from client_events where optimization_id = 'strict'", "1")
	b.open(b.ctx, "/blocked")
	b.arrives("select count() from client_events where optimization_id = 'blocked'", "1")
	b.check()

	b.open(b.ctx, "/page")
	other := b.tab(b.ctx)
	b.open(other, "/page")
	b.offline(other, true)
	b.run(other, `tieback.setUserId("crm", "other tab")`)
	b.run(b.ctx, "tieback.optOut()")
	b.run(b.ctx, `tieback.recordView("out", "a")`)
	b.open(b.ctx, "/page")
	b.run(b.ctx, `tieback.recordView("out", "a")`)
	if got := b.run(b.ctx, "tieback.visitorId() + Object.keys(localStorage)"); got != "tieback.opt" {
		t.Errorf("after optOut the browser keeps %q", got)
	}
	b.run(b.ctx, "tieback.optIn()")
	b.run(b.ctx, `tieback.recordView("in", "a")`)
	b.arrives("select groupArray(optimization_id) from client_events where optimization_id in ('in', 'out')", "['in']")
	b.offline(other, false)
	b.run(other, `tieback.recordView("other tab", "a")`)
	b.arrives("select countIf(optimization_id = 'other tab'), countIf(user_id = 'other tab') from client_events where optimization_id = 'other tab' or user_id = 'other tab'", "1\t0")

	control := b.tab(b.ctx)
	b.do(control, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `Object.defineProperty(navigator, "globalPrivacyControl", {get: () => true}); try { localStorage.removeItem("tieback.opt") } catch (_) {}`,
		})
		return err
	}))
	b.open(control, "/page")
	b.run(control, `tieback.recordView("control", "a")`)
	if got := b.run(control, "tieback.visitorId()"); got != "" {
		t.Errorf("with Global Privacy Control the visitor is %q", got)
	}
	b.do(control, chromedp.Navigate("about:blank"))
	b.run(b.ctx, `tieback.recordView("last", "a")`)
	b.arrives("select count() from client_events where optimization_id = 'last'", "1")
	b.arrives("select count() from client_events where optimization_id = 'control'", "0")
	b.check("ERR_INTERNET_DISCONNECTED") // of the tab that was offline, if it came to send
}

// integrity is what a page demands of the script.
func (b *browser) integrity(script string) string {
	res, err := http.Get(script)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	sum := sha512.Sum384(text)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// seedBodyOf is a conversion of an application that happens now.
func seedBodyOf(application string) string {
	return fmt.Sprintf(`{customerId: "123456789", apiName: "application-accepted", userDomain: "applicationId", userId: %[1]q, actionId: %[1]q, actionTimestamp: %d}`,
		application, time.Now().UnixMilli())
}

// A backend that sends the conversion as soon as the page submits: setUserId must not wait for
// a batch, nor for a request that is under way.
func TestBrowserIdentifiesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	must(t, b.service.dataDir, "optimization", "add", "123456789", "hero", "--name", "Hero", "--variation", "a", "--variation", "b")
	b.open(b.ctx, "/form")
	b.run(b.ctx, `f.requestSubmit()`)
	b.arrives("select count() from conversions where user_id = 'form'", "1")

	b.open(b.ctx, "/page")
	b.run(b.ctx, `tieback.recordView("hero", "a")`)
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`tieback.setUserId("applicationId", "fetch").then(function(stored) { return fetch("/submit?application=fetch", {method: "POST"}).then(function(answer) { return stored + " " + answer.status }) })`, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
	b.arrives("select count() from conversions where user_id = 'fetch'", "1")
	b.arrives("select count() from client_events where type = 'identify'", "2")
	must(t, b.service.dataDir, "run", "--cutoff", "now")
	b.arrives("select groupArray((user_id, variation_id)) from (select * from attributions order by user_id)", "[('fetch','a'),('form','b')]")
	b.check()
}

// A page that is only prerendered reports nothing until it is shown. DevTools keep a browser from
// prerendering, so this one is left alone: its page waits for a word of the test's.
func TestBrowserPrerenders(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err) // newBrowser has found it
	}
	alone := exec.CommandContext(t.Context(), path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir="+t.TempDir(),
		"--remote-debugging-port=0", b.site.URL+"/speculates")
	alone.WaitDelay = 10 * time.Second
	if err := alone.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = alone.Process.Kill()
		_ = alone.Wait()
	})
	b.siteHears("GET /said?prerendering")
	b.arrives("select count() from client_events where optimization_id = 'speculates'", "1")
	b.arrives("select count() from client_events where optimization_id = 'prerendered'", "0")
	close(b.show)
	b.arrives("select count() from client_events where optimization_id = 'prerendered'", "1")
	b.siteHears("GET /said?shown,activated=true")
}

// identified reports whether the service has a setUserId with an id.
func (b *browser) identified(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.stored, func(body string) bool {
		return strings.Contains(body, `"identify"`) && strings.Contains(body, `"`+id+`"`)
	})
}

// siteHears waits until a page has made a request to its own site.
func (b *browser) siteHears(request string) {
	b.t.Helper()
	if !becomes(time.Minute, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Contains(b.asked, request)
	}) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("the site never heard %s, but %q", request, b.asked)
	}
}

// One visitor on all subdomains, also where one of them has lost its storage; another one after
// a log-out.
func TestBrowserSharesAVisitor(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	site := func(host string) string {
		return strings.Replace(b.site.URL, "127.0.0.1", host+".example.test", 1) + "/shared"
	}
	visit := func(host string) string {
		t.Helper()
		b.do(b.ctx, chromedp.Navigate(site(host)))
		b.loaded(b.ctx)
		return b.run(b.ctx, "tieback.visitorId()")
	}
	www := visit("www")
	if app := visit("app"); app != www || app == "" {
		t.Errorf("the visitor is %q on www and %q on app", www, app)
	}
	b.run(b.ctx, "localStorage.clear()")
	if again := visit("app"); again != www {
		t.Errorf("with its storage cleared the visitor was %q and is %q", www, again)
	}
	b.run(b.ctx, `tieback.setUserId("crm", "first")`)
	b.run(b.ctx, "tieback.reset()")
	second := visit("www") // a log-out that leads to the other subdomain
	if got := visit("app"); second == www || got != second || got == "" {
		t.Errorf("after reset the visitor is %q on www and %q on app, was %q", second, got, www)
	}
	b.run(b.ctx, `tieback.setUserId("crm", "second")`)
	b.arrives("select groupArray((user_id, visitor_id)) from (select user_id, visitor_id from client_events where type = 'identify' order by user_id)",
		fmt.Sprintf("[('first','%s'),('second','%s')]", www, second))
	b.run(b.ctx, "tieback.optOut()")
	if got := visit("www"); got != "" {
		t.Errorf("opted out on app, the visitor is %q on www", got)
	}
	b.run(b.ctx, "tieback.reset()")
	if got := b.run(b.ctx, "tieback.visitorId()"); got != "" {
		t.Errorf("opted out and reset, the visitor is %q", got)
	}
	b.run(b.ctx, "tieback.optIn()")
	third := b.run(b.ctx, "tieback.visitorId()")
	if got := visit("app"); third == second || third == "" || got != third {
		t.Errorf("after optIn the visitor is %q on www and %q on app, was %q", third, got, second)
	}
	b.check()
}

// The script as a module, with integrity, and imported: without document.currentScript.
func TestBrowserTags(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for _, path := range []string{"/module", "/integrity", "/imported"} {
		b.open(b.ctx, path)
		b.arrives("select count() from client_events where optimization_id = '"+path+"'", "1")
	}
	b.check()
}

// What is no id is dropped with a warning, and so is a number that has lost digits.
func TestBrowserRefusesPlaceholders(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.open(b.ctx, "/page")
	b.run(b.ctx, `tieback.ready(function() {
		[String(undefined), "null", {id: 5}, NaN, "{{user.id}}", "${id}", "%ID%", "  ", "", undefined].forEach(function(id) { tieback.setUserId("bad", id) });
		tieback.setUserId("undefined", "x");
		tieback.setUserId("bad", 0);
		tieback.setUserId("bad", 12345678901234567890);
	})`)
	b.arrives("select arraySort(groupArray(user_id)) from client_events where user_domain = 'bad'", "['0','12345678901234567000']")
	b.mu.Lock()
	defer b.mu.Unlock()
	if warnings := strings.Join(b.warnings, "\n"); strings.Count(warnings, "this is no id") != 11 || strings.Count(warnings, "pass a string") != 1 {
		t.Errorf("the console warns:\n%s", warnings)
	}
}

// The line in the docs is the one that the tests load.
func TestStubIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/snippet.md")
	if err != nil || !strings.Contains(string(text), snippet.Stub) {
		t.Errorf("docs/snippet.md does not have the stub: %v", err)
	}
}
