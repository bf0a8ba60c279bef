package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

type demoCmd struct {
	Folder string `placeholder:"DIR" help:"A fresh folder for the data; one in the temporary folder if not given."`
}

// demo shows the whole of it with this program's own commands, a real service and
// curl, as a person would type them.
type demo struct {
	*program
	ctx     context.Context
	self    string
	folder  string
	address string // of the service, as http://127.0.0.1:PORT
	token   string
	started time.Time
	present time.Time // what the story's "ago" counts from
}

const (
	demoAccount = "123456789"
	demoEvent   = "application-accepted"
)

func (c *demoCmd) Run(ctx context.Context, p *program) error {
	d, err := newDemo(ctx, p, c.Folder)
	if err != nil {
		return err
	}
	d.say("Tieback ties conversions that happen offline back to the variations that people saw.",
		"This demo does all of it for real: a service, the embedded ClickHouse, HTTP requests, the nightly run.")
	stop, err := d.serve()
	if err != nil {
		return err
	}
	err = d.play()
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	d.farewell()
	return nil
}

func newDemo(ctx context.Context, p *program, folder string) (*demo, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	if folder == "" {
		folder, err = os.MkdirTemp("", "tieback-demo-*")
	} else if entries, readErr := os.ReadDir(folder); readErr == nil && len(entries) > 0 {
		err = usagef("--folder %s is not empty; the demo wants a fresh one", folder)
	}
	return &demo{program: p, ctx: ctx, self: self, folder: folder, started: p.now()}, err
}

func (d *demo) play() error {
	for _, act := range []func() error{d.configure, d.browse, d.convert, d.fail, d.night, d.show, d.decide} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) say(lines ...string) { fmt.Fprintln(d.stdout, strings.Join(lines, "\n")) }

func (d *demo) title(text string) {
	d.say("", "── "+text+" "+strings.Repeat("─", max(0, 90-len([]rune(text)))))
}

// ms is a moment before the present, as the browser and the backends send it.
func (d *demo) ms(ago time.Duration) int64 { return d.present.Add(-ago).UnixMilli() }

// listens finds the address in the service's log.
var listens = regexp.MustCompile(`msg"?[=:]"tieback listens",? ?"?address"?[=:]"?([^\s",]+)`)

// serve starts `tieback serve` and returns what stops it.
func (d *demo) serve() (stop func() error, err error) {
	d.title("1. Start the service")
	cmd := exec.Command(d.self, "serve", "--data", d.folder, "--listen", "127.0.0.1:0")
	cmd.Env = withoutSettings(os.Environ())
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	d.say("$ tieback serve --data "+d.folder, "")
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the service: %w", err)
	}
	lines := bufio.NewScanner(log)
	var said []string
	for lines.Scan() {
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			d.address = "http://" + m[1]
			break
		}
		said = append(said, lines.Text())
	}
	if d.address == "" {
		_ = cmd.Wait() // what it said has more than its exit code
		return nil, fmt.Errorf("start the service: %s", strings.Join(said, "\n"))
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	d.say("It listens on " + d.address + ". Nothing else is installed or running.")
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("stop the service: %w", err)
		}
		return nil
	}, nil
}

// withoutSettings keeps the demo apart from what the environment sets for others.
func withoutSettings(environment []string) []string {
	var kept []string
	for _, setting := range environment {
		if !strings.HasPrefix(setting, "TIEBACK_") || strings.HasPrefix(setting, "TIEBACK_CHDB_LIB=") {
			kept = append(kept, setting)
		}
	}
	return kept
}

// tieback runs one of this program's commands on the demo's folder and shows it.
func (d *demo) tieback(args ...string) (string, error) {
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = arg
		if strings.ContainsAny(arg, " '*") {
			shown[i] = `"` + arg + `"`
		}
	}
	d.say("$ tieback " + strings.Join(shown, " "))
	cmd := exec.CommandContext(d.ctx, d.self, append(args, "--data", d.folder)...)
	cmd.Env = withoutSettings(os.Environ())
	cmd.Stderr = d.stderr
	out, err := cmd.Output()
	if len(out) > 0 {
		d.say(strings.TrimRight(string(out), "\n"))
	}
	if err != nil {
		return "", fmt.Errorf("tieback %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (d *demo) configure() (err error) {
	d.title("2. Configure an account, as its admin would")
	if d.token, err = d.tieback("token", "add", demoAccount, "backend"); err != nil {
		return err
	}
	from := d.started.Add(-4 * time.Hour).UTC().Format(time.RFC3339)
	event, err := d.tieback("event", "add", demoAccount, demoEvent, "--from", from)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"optimization", "add", demoAccount, "hero", "--name", "Hero banner", "--variation", "a=As it was", "--variation", "b=New headline"},
		{"goal", "add", demoAccount, "hero", event, "--primary"},
	} {
		if _, err := d.tieback(args...); err != nil {
			return err
		}
	}
	return nil
}

// browse sends what the browser script sends when two people visit the site.
func (d *demo) browse() error {
	d.title("3. Two visitors see variations of the page and say who they are")
	d.present = d.now()
	d.say("Anna saw variation b ten minutes ago, and is logged in. Bert saw variation a three hours ago.", "")
	anna := fmt.Sprintf(`{"customerId":"%s","visitorId":"anna-laptop","sentAt":%d,"events":[
 {"type":"view","optimizationId":"hero","variationId":"a","occurredAt":%d},
 {"type":"view","optimizationId":"hero","variationId":"b","occurredAt":%d},
 {"type":"identify","userDomain":"salesforce","userId":"72349876","occurredAt":%d},
 {"type":"identify","userDomain":"applicationId","userId":"123456789","occurredAt":%d}]}`,
		demoAccount, d.ms(0), d.ms(25*time.Minute), d.ms(10*time.Minute), d.ms(9*time.Minute), d.ms(9*time.Minute))
	bert := fmt.Sprintf(`{"customerId":"%s","visitorId":"bert-phone","sentAt":%d,"events":[
 {"type":"view","optimizationId":"hero","variationId":"a","occurredAt":%d},
 {"type":"identify","userDomain":"salesforce","userId":"bert","occurredAt":%d}]}`,
		demoAccount, d.ms(0), d.ms(3*time.Hour), d.ms(3*time.Hour-time.Minute))
	for _, body := range []string{anna, bert} {
		if err := d.post("/collect", "", body, http.StatusNoContent); err != nil {
			return err
		}
	}
	return nil
}

// body is a conversion in the form of the seed's examples.
func (d *demo) body(nameField, apiName, userDomain, userID, actionID string, at int64, withAccount bool) string {
	account := ""
	if withAccount {
		account = fmt.Sprintf("customerId: %q,\n", demoAccount)
	}
	return fmt.Sprintf("{\n%s%s: %q,\nuserDomain: %q,\nuserId: %q,\nactionId: %q,\nactionTimestamp: %d,\nvalue: 149.99\n}",
		account, nameField, apiName, userDomain, userID, actionID, at)
}

func (d *demo) convert() error {
	d.title("4. The customer's backends report conversions")
	ok := http.StatusOK
	five := d.ms(5 * time.Minute)
	d.say("Anna's application is accepted, five minutes ago:")
	accepted := d.body("apiName", demoEvent, "salesforce", "72349876", "23823940", five, true)
	if err := d.post("/event", d.token, accepted, ok); err != nil {
		return err
	}
	d.say("", "Another system reports another one, with the account in the path and eventName for apiName:")
	if err := d.post("/customer/"+demoAccount+"/event", d.token, d.body("eventName", demoEvent, "applicationId", "123456789", "23823941", d.ms(4*time.Minute), false), ok); err != nil {
		return err
	}
	d.say("", "The first backend retries, having missed the answer; Bert converts, hours after his visit; so does",
		"somebody nobody knows; and one backend has a typo in the name. All are accepted, and the run tells them apart:")
	for _, body := range []string{
		accepted,
		d.body("apiName", demoEvent, "salesforce", "bert", "23823942", five, true),
		d.body("apiName", demoEvent, "salesforce", "nobody", "23823943", five, true),
		d.body("apiName", "application-acepted", "salesforce", "72349876", "23823944", five, true),
	} {
		if err := d.post("/event", d.token, body, ok); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) fail() error {
	d.title("5. What is wrong is refused, with the reason")
	bad := http.StatusBadRequest
	d.say("A stamp in seconds:")
	if err := d.post("/event", d.token, d.body("apiName", demoEvent, "salesforce", "72349876", "23823945", d.present.Unix(), true), bad); err != nil {
		return err
	}
	d.say("", "Older than 7 days, and without a user:")
	if err := d.post("/event", d.token, d.body("apiName", demoEvent, "salesforce", "", "23823946", d.ms(8*24*time.Hour), true), bad); err != nil {
		return err
	}
	d.say("", "With a token that does not exist:")
	return d.post("/event", "AbCdEf123456", d.body("apiName", demoEvent, "salesforce", "72349876", "23823947", d.ms(0), true), http.StatusUnauthorized)
}

// post sends a body with curl, as the seed does it, and shows both sides. Without
// curl on the machine it sends the same itself.
func (d *demo) post(path, token, body string, want int) error {
	args := []string{"--location", "--request", "POST", d.address + path}
	shown := "$ curl --location --request POST '" + d.address + path + "'"
	if token != "" {
		args = append(args, "--header", "Authorization: ApiKey "+token)
		shown += " \\\n  --header 'Authorization: ApiKey " + token + "'"
	}
	args = append(args, "--header", "Content-Type: application/json", "--data-raw", body)
	shown += " \\\n  --header 'Content-Type: application/json' \\\n  --data-raw '" + body + "'"
	d.say(shown)
	answer, status, err := d.send(args, path, token, body)
	if err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	d.say(strings.TrimSpace(fmt.Sprintf("=> %d %s", status, answer)))
	if status != want {
		return fmt.Errorf("POST %s answered %d, expected %d", path, status, want)
	}
	return nil
}

func (d *demo) send(curlArgs []string, path, token, body string) (answer string, status int, err error) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		return d.sendWithoutCurl(path, token, body)
	}
	args := append([]string{"--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}"}, curlArgs...)
	out, err := exec.CommandContext(d.ctx, curl, args...).CombinedOutput()
	if err != nil {
		return "", 0, fmt.Errorf("curl: %w: %s", err, out)
	}
	at := bytes.LastIndexByte(out, '\n')
	_, err = fmt.Sscan(string(out[at+1:]), &status)
	return string(out[:max(at, 0)]), status, err
}

func (d *demo) sendWithoutCurl(path, token, body string) (string, int, error) {
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, d.address+path, strings.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	if token != "" {
		req.Header.Set("Authorization", "ApiKey "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return string(answer), res.StatusCode, err
}

func (d *demo) night() error {
	d.title("6. The nightly run, here by hand and up to now instead of midnight")
	_, err := d.tieback("run", "--cutoff", "now")
	return err
}

func (d *demo) show() error {
	d.title("7. What came of it")
	for _, query := range []string{
		"select visitor_id, started_at, last_event_at, expires_at, events, views from sessions order by started_at",
		"select action_id, user_id, converted_at, variation_id, visitor_id, viewed_at, value from attributions order by action_id",
	} {
		if _, err := d.tieback("sql", query, "--format", "PrettyCompactMonoBlock"); err != nil {
			return err
		}
	}
	d.say("", "And why, conversion by conversion:")
	for _, conversion := range [][2]string{
		{demoEvent, "23823940"}, {demoEvent, "23823941"}, {demoEvent, "23823942"}, {demoEvent, "23823943"}, {"application-acepted", "23823944"},
	} {
		if _, err := d.tieback("explain", demoAccount, conversion[0], conversion[1]); err != nil {
			return err
		}
	}
	outcomes, err := d.tieback("sql", "select outcome, count() as conversions from conversion_outcomes group by outcome order by outcome", "--format", "TabSeparated")
	if err != nil {
		return err
	}
	const want = "attributed\t2\nduplicate\t1\nevent_not_defined\t1\nno_identity\t1\nsession_expired\t1"
	if outcomes != want {
		return errors.New("the outcomes are not what they should be: this is a fault of tieback, please report it")
	}
	return nil
}

func (d *demo) farewell() {
	took := d.now().Sub(d.started).Round(100 * time.Millisecond)
	d.title("Done")
	d.say(fmt.Sprintf("In %s: a service and an embedded ClickHouse started and stopped, 2 batches of browser events and", took),
		"6 conversions accepted, of which 2 are attributed to variation b of Hero banner, and 3 refused; four weeks of a shop, and a decision.",
		"",
		"Try next, in the project's folder:",
		"  bin/tieback sql 'select * from conversion_outcomes' --data "+d.folder,
		"  bin/tieback results shop headline --by device --data "+d.folder,
		"  bin/tieback status --data "+d.folder,
		"  bin/tieback serve                 your own service, data in ./data",
		"  bin/tieback --help",
		"and read README.md and docs/rules.md.",
		"data: "+d.folder)
}
