// Command tieback ties conversions that happen offline back to the variations that
// people saw on the site. This is the only package that knows flags and environment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/warehouse"
)

// Exit codes of docs/settings.md.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error that the caller's words are to blame for.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// program is what every command works with.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer // for people: what a terminal would obey is escaped
	rawOut, rawErr io.Writer // for other programs, and for progress that is written over
	log            *slog.Logger
	now            func() time.Time

	dataDir       string
	clickhouseURL string
	cluster       string
	nightMemory   uint64 // bytes that a run may take, 0 for what ClickHouse allows
}

// cli is every command and flag of docs/settings.md.
type cli struct {
	Data        string `default:"./data" env:"TIEBACK_DATA" help:"Data folder." placeholder:"DIR"`
	ClickHouse  string `name:"clickhouse" env:"TIEBACK_CLICKHOUSE" help:"ClickHouse server, as http://USER:PASSWORD@HOST:8123, https://…:8443 or clickhouse://…:9000; the embedded engine if not given." placeholder:"URL"`
	Password    string `name:"clickhouse-password" env:"TIEBACK_CLICKHOUSE_PASSWORD" placeholder:"PASSWORD" help:"Of the user in --clickhouse, if it is not there. Better in the environment, or a file that TIEBACK_CLICKHOUSE_PASSWORD_FILE names: every variable can be given so."`
	Cluster     string `env:"TIEBACK_CLUSTER" help:"Cluster of that ClickHouse, by its name in remote_servers, over which visitors are spread; --clickhouse names the node that is home." placeholder:"NAME"`
	NightMemory uint64 `name:"night-memory" env:"TIEBACK_NIGHT_MEMORY" placeholder:"MB" help:"Memory that a nightly run may take in ClickHouse, in MB. Half of this machine's with the embedded engine, and what the server allows with --clickhouse, if not given."`
	Verbose     bool   `short:"v" env:"TIEBACK_VERBOSE" help:"Log more on standard error."`
	LogFormat   string `name:"log-format" enum:"text,json" default:"text" env:"TIEBACK_LOG_FORMAT" help:"How the log is written: text or json."`
	LogLevel    string `name:"log-level" enum:"debug,info,warn,error," default:"" env:"TIEBACK_LOG_LEVEL" placeholder:"LEVEL" help:"What the log holds: debug, info, warn or error. warn if not given, info for serve and with --verbose."`

	Serve        serveCmd        `cmd:"" help:"Run the ingest service and the scheduler."`
	Run          runCmd          `cmd:"" help:"Run the nightly job by hand; with a range, compute those days again, too."`
	Import       importCmd       `cmd:"" help:"Load history from lines of JSON, arrays of them, or tables (CSV); - is standard input, .gz and .zst are unpacked."`
	Export       exportCmd       `cmd:"" help:"Write everything received and configured of an account, as lines that import reads."`
	Erase        eraseCmd        `cmd:"" help:"Delete a person's rows for good, and bring the figures up to date."`
	SQL          sqlCmd          `cmd:"" name:"sql" help:"Run a statement on ClickHouse as the operator."`
	Account      accountCmd      `cmd:"" help:"Accounts and the origins that their browsers may send from."`
	Token        tokenCmd        `cmd:"" help:"Tokens that backends send conversions with."`
	Event        eventCmd        `cmd:"" help:"Custom events and their names over time."`
	Optimization optimizationCmd `cmd:"" help:"Optimizations and their variations."`
	Goal         goalCmd         `cmd:"" help:"Which events count for which optimization."`
	Results      resultsCmd      `cmd:"" help:"Show an optimization's results: its variations side by side, per goal."`
	Outcomes     outcomesCmd     `cmd:"" help:"List conversions with what became of each."`
	Adjust       adjustCmd       `cmd:"" help:"Give a conversion another value, or take it back."`
	Explain      explainCmd      `cmd:"" help:"Show what became of a conversion, and why."`
	Status       statusCmd       `cmd:"" help:"Show the last runs and what waits."`
	Doctor       doctorCmd       `cmd:"" help:"Check everything that Tieback depends on, and say how to fix what fails."`
	DeadLetter   deadLetterCmd   `cmd:"" name:"deadletter" help:"Rows that ClickHouse refused."`
	Backup       backupCmd       `cmd:"" help:"Back up all tables of the embedded engine, while a service runs."`
	Restore      restoreCmd      `cmd:"" help:"Bring a backup back, into an empty data folder."`
	Migrate      migrateCmd      `cmd:"" help:"Bring the schema up to date."`
	Demo         demoCmd         `cmd:"" help:"Show the whole of it on a fresh folder."`
	Version      versionCmd      `cmd:"" help:"Say which tieback this is, and which engine it embeds."`
	Engine       engineCmd       `cmd:"" hidden:"" help:"Host the embedded engine (other commands start it)."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := &program{
		stdin: os.Stdin, rawOut: os.Stdout, rawErr: os.Stderr, now: time.Now,
		stdout: &safeWriter{Writer: os.Stdout}, stderr: &safeWriter{Writer: os.Stderr},
	}
	code := p.main(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// main runs one command line and returns its exit code.
func (p *program) main(ctx context.Context, args []string) int {
	var c cli
	exited, code := false, 0
	if err := errors.Join(readFiles(os.Environ())...); err != nil {
		return p.exitCode(usageError{err})
	}
	parser, err := kong.New(&c, kong.Name("tieback"),
		kong.Description("Ties offline conversions to the variations that people saw."),
		kong.Writers(p.stdout, p.stderr), kong.UsageOnError(),
		kong.Exit(func(status int) { exited, code = true, status }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(p),
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "tieback:", err)
		return exitFailed
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case slices.Equal(args, []string{"--version"}):
		args = []string{"version"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return code // --help
	}
	if err != nil {
		fmt.Fprintf(p.stderr, "tieback: %v\nRun `tieback --help`, or `tieback COMMAND --help`.\n", err)
		return exitUsage
	}
	if c.ClickHouse != "" {
		c.ClickHouse = warehouse.WithPassword(c.ClickHouse, c.Password)
	}
	p.dataDir, p.clickhouseURL, p.cluster, p.nightMemory = c.Data, c.ClickHouse, c.Cluster, c.NightMemory<<20
	if p.nightMemory == 0 && p.clickhouseURL == "" {
		p.nightMemory = machineMemory() / 2
	}
	faults := unreadEnvironment(os.Environ(), environmentNames(parser.Model))
	if c.ClickHouse != "" {
		faults = append(faults, warehouse.CheckURL(c.ClickHouse))
	}
	if strings.HasPrefix(parsed.Command(), "serve") {
		faults = append(faults, c.Serve.check(c.ClickHouse)...)
	}
	if err := errors.Join(faults...); err != nil {
		return p.exitCode(usageError{err})
	}
	p.log = c.logger(p.stderr, strings.HasPrefix(parsed.Command(), "serve"))
	return p.exitCode(parsed.Run())
}

func (c *cli) logger(w io.Writer, serves bool) *slog.Logger {
	level := slog.LevelWarn
	if c.Verbose || serves {
		level = slog.LevelInfo
	}
	if c.LogLevel != "" {
		_ = level.UnmarshalText([]byte(c.LogLevel)) // the parser has checked it
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (p *program) exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage) || errors.Is(err, refuse.Invalid):
		fmt.Fprintln(p.stderr, "tieback:", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(p.stderr, "tieback: interrupted")
		return exitFailed
	default:
		if text := err.Error(); text != "" {
			fmt.Fprintln(p.stderr, "tieback:", text)
		}
		return exitFailed
	}
}

// open opens ClickHouse with its schema up to date. On a server only commands that add something
// make and migrate it: the others would make one wherever --clickhouse leads to by mistake.
func (p *program) open(ctx context.Context, adds bool) (*warehouse.DB, error) {
	if err := p.restoredWhole(); err != nil {
		return nil, err
	}
	db, err := p.openUnmigrated(ctx, false)
	if err != nil {
		return nil, err
	}
	if adds || p.clickhouseURL == "" {
		_, _, err = db.Migrate(ctx)
	} else {
		err = hasSchema(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// hasSchema fails where the schema is not the newest.
func hasSchema(ctx context.Context, db *warehouse.DB) error {
	has, newest, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case has == 0:
		return errors.New("there are no tables of Tieback on this ClickHouse server: is --clickhouse right? `tieback serve` and `tieback migrate` make them")
	case has < newest:
		return fmt.Errorf("the schema has version %d, this tieback needs %d: `tieback migrate` brings it up to date", has, newest)
	case has > newest:
		return fmt.Errorf("the schema has version %d, this tieback knows %d: use the newer tieback", has, newest)
	}
	return nil
}

// openUnmigrated opens ClickHouse as it is. A patient one does not fail where a server is away.
func (p *program) openUnmigrated(ctx context.Context, patient bool) (*warehouse.DB, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	return warehouse.Open(ctx, warehouse.Config{
		DataDir: p.dataDir, URL: p.clickhouseURL, Cluster: p.cluster, EngineCommand: []string{self, "engine"}, Log: p.log, Patient: patient,
	})
}

// runner returns one for the nightly job, with this program's clock, log and limits.
func (p *program) runner(db *warehouse.DB) *jobs.Runner {
	runner := jobs.NewRunner(db, p.now, p.log)
	runner.Memory = p.nightMemory
	return runner
}

// withDB opens ClickHouse around fn, which adds nothing to an empty one.
func (p *program) withDB(ctx context.Context, fn func(db *warehouse.DB) error) error {
	return p.around(ctx, false, fn)
}

// adding opens ClickHouse around fn, and makes the tables where there are none.
func (p *program) adding(ctx context.Context, fn func(db *warehouse.DB) error) error {
	return p.around(ctx, true, fn)
}

func (p *program) around(ctx context.Context, adds bool, fn func(db *warehouse.DB) error) error {
	db, err := p.open(ctx, adds)
	if err != nil {
		return err
	}
	return errors.Join(fn(db), db.Close())
}

// change opens ClickHouse around a change of the catalog.
func (p *program) change(ctx context.Context, edit func(*catalog.Edit) error) error {
	return p.adding(ctx, func(db *warehouse.DB) error { return p.changeIn(ctx, db, edit) })
}

// changeIn changes the catalog, and says which accounts were made by the way: one may be misspelt.
func (p *program) changeIn(ctx context.Context, db *warehouse.DB, edit func(*catalog.Edit) error) error {
	var made []string
	err := catalog.NewStore(db, p.now).Change(ctx, "command", func(e *catalog.Edit) error {
		err := edit(e)
		made = e.Made()
		return err
	})
	if err == nil {
		p.tellMade(made)
	}
	return err
}

func (p *program) tellMade(accounts []string) {
	for _, id := range accounts {
		fmt.Fprintf(p.stderr, "note: there was no account %s, it was made; `tieback account delete` undoes that\n", human.Quote(id))
	}
}

// withCatalog opens ClickHouse around a look at the catalog.
func (p *program) withCatalog(ctx context.Context, fn func(*catalog.Snapshot) error) error {
	return p.withDB(ctx, func(db *warehouse.DB) error {
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		return fn(snap)
	})
}
