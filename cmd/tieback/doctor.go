package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
)

type doctorCmd struct{}

// finding is the result of one check; advice, what to do about it, is empty where all is well.
// Of a warning Tieback goes on working, and the figures are right for what came in.
type finding struct {
	subject, found, advice string
	warning                bool
}

// Run checks what Tieback lives on and what comes in, and changes nothing. It ends with 1 when
// a check has failed; warnings don't count.
func (*doctorCmd) Run(ctx context.Context, p *program) error {
	findings := []finding{p.lookAtDisk(), p.lookAtFolder(), p.lookAtFiles(), p.lookAtEngine()}
	db, err := p.openUnmigrated(ctx, false)
	if err != nil {
		findings = append(findings, finding{subject: "ClickHouse", found: err.Error(), advice: "see above; nothing else can be checked without it"})
	} else {
		defer db.Close()
		looks := []func(context.Context, *warehouse.DB) finding{p.lookAtClickHouse, p.lookAtSchema, p.lookAtRuns, p.lookAtServices}
		if p.cluster != "" {
			looks = append(looks, p.lookAtNodes)
		}
		for _, look := range looks {
			findings = append(findings, look(ctx, db))
		}
		findings = append(findings, p.lookAtFlags(ctx, db)...)
	}
	findings = append(findings, p.lookAtSpool(ctx), p.lookAtDeadLetters())
	bad := 0
	for _, f := range findings {
		verdict := "ok  "
		switch {
		case f.advice != "" && f.warning:
			verdict = "WARN"
		case f.advice != "":
			verdict, bad = "BAD ", bad+1
		}
		fmt.Fprintf(p.stdout, "%s %-12s %s\n", verdict, f.subject, f.found)
		if f.advice != "" {
			fmt.Fprintf(p.stdout, "                  %s\n", f.advice)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(findings))
	}
	return nil
}

// leastFree is the room below which a night may not fit with what is there.
const leastFree = 2 << 30

func (p *program) lookAtDisk() finding {
	f := finding{subject: "disk"}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(p.dataDir, &disk); err != nil {
		f.found, f.advice = fmt.Sprintf("%s: %v", p.dataDir, err), "give the data folder with --data or TIEBACK_DATA"
		return f
	}
	free, size := int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
	f.found = fmt.Sprintf("%.1f of %.1f GB are free at %s", float64(free)/1e9, float64(size)/1e9, p.dataDir)
	if free < leastFree || free < size/20 {
		f.advice = "make room: below a twentieth, at most 256 MB, events are refused with 503; docs/operating.md has the retention settings"
	}
	return f
}

// lookAtFolder looks who else can read the data folder, which holds ids of people.
func (p *program) lookAtFolder() finding {
	f := finding{subject: "folder", found: p.dataDir + " is for its owner only"}
	info, err := os.Stat(p.dataDir)
	switch {
	case err != nil:
		f.found = "not there yet"
	case p.restoredWhole() != nil:
		f.found, f.advice = p.restoredWhole().Error(), "delete it and restore again"
	case p.strangersFile() != "":
		stranger, owner := p.strangersFile(), ownerOf(p.dataDir)
		f.found = fmt.Sprintf("%s belongs to the user %s, the data folder to %s", stranger, ownerOf(stranger), owner)
		f.advice = fmt.Sprintf("run `chown -R %s: %s`, and commands as %s", owner, p.dataDir, owner)
	case info.Mode().Perm()&0o077 != 0:
		f.warning = true
		f.found = fmt.Sprintf("%s can be read by other users (%s)", p.dataDir, info.Mode().Perm())
		f.advice = fmt.Sprintf("run `chmod -R go= %s`: it holds what people did, and under which ids", p.dataDir)
	}
	return f
}

// strangersFile is a file of the data folder that is not its owner's, empty for none. ClickHouse's
// own are not looked at one by one.
func (p *program) strangersFile() (path string) {
	owner := ownerOf(p.dataDir)
	_ = filepath.WalkDir(p.dataDir, func(file string, entry fs.DirEntry, err error) error {
		switch whose, known := human.Owner(file); {
		case err != nil || !known: // gone meanwhile, or not ours to see
		case whose != owner:
			path = file
			return filepath.SkipAll
		case entry.IsDir() && filepath.Dir(file) == filepath.Join(p.dataDir, "clickhouse"):
			return filepath.SkipDir
		}
		return nil
	})
	return path
}

func ownerOf(path string) string {
	owner, _ := human.Owner(path)
	return owner
}

// leastFiles is how many files a service should be able to open: one for each connection.
const leastFiles = 4096

// lookAtFiles looks at the limit of files that the service has, which the engine shares.
func (p *program) lookAtFiles() finding {
	f := finding{subject: "open files"}
	limit := fileLimit()
	if pid, err := os.ReadFile(filepath.Join(p.dataDir, "engine.lock")); err == nil {
		limits, _ := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "limits"))
		if m := openFilesLimit.FindSubmatch(limits); m != nil {
			limit, _ = strconv.ParseUint(string(m[1]), 10, 64) // digits
		}
	}
	f.found = fmt.Sprintf("%d may be open, for %d connections at once", limit, connectionLimits(limit).Total)
	if f.warning = true; limit < leastFiles {
		f.advice = fmt.Sprintf("raise it to %d or more, with ulimit -n, or LimitNOFILE= of systemd", leastFiles)
	}
	return f
}

var openFilesLimit = regexp.MustCompile(`Max open files +(\d+)`)

func (p *program) lookAtEngine() finding {
	f := finding{subject: "engine"}
	if p.clickhouseURL != "" {
		f.found = "not needed: a ClickHouse server is used"
		return f
	}
	library, err := chdb.FindLibrary()
	if err != nil {
		f.found, f.advice = err.Error(), "run `make engine`, or set "+chdb.LibEnv
		return f
	}
	f.found = library
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		f.advice = "the embedded engine needs Linux on amd64: use a ClickHouse server with --clickhouse"
	}
	return f
}

// clockTolerance is how far ClickHouse's clock may be from ours; a run reads rows again
// that became visible in the ten minutes before the last one.
const clockTolerance = 5 * time.Second

func (p *program) lookAtClickHouse(ctx context.Context, db *warehouse.DB) finding {
	f := finding{subject: "ClickHouse"}
	var version string
	var clock time.Time
	asked := p.now()
	if err := db.Row(ctx, "select version(), now64(3, 'UTC')", nil, &version, &clock); err != nil {
		f.found, f.advice = err.Error(), "look at its logs: for the embedded engine, clickhouse.log and engine.log in the data folder"
		return f
	}
	apart := max(clock.Sub(asked).Abs()-p.now().Sub(asked), 0)
	f.found = fmt.Sprintf("version %s, its clock is %s from ours", version, apart.Round(time.Millisecond))
	if apart > clockTolerance {
		f.advice = "let both machines keep their time by NTP: what is received and what is visible are compared"
	}
	return f
}

func (p *program) lookAtSchema(ctx context.Context, db *warehouse.DB) finding {
	f := finding{subject: "schema"}
	has, newest, err := db.Schema(ctx)
	switch {
	case err != nil:
		f.found, f.advice = err.Error(), "run `tieback migrate`"
	case has == newest:
		f.found = fmt.Sprintf("version %d, the newest", has)
	case has > newest:
		f.found, f.advice = fmt.Sprintf("version %d, this tieback knows %d", has, newest), "use the newer tieback"
	default:
		f.found, f.advice = fmt.Sprintf("version %d of %d", has, newest), "run `tieback migrate`"
	}
	return f
}

func (p *program) lookAtRuns(ctx context.Context, db *warehouse.DB) finding {
	f := finding{subject: "last run"}
	cutoff, err := jobs.PublishedCutoff(ctx, db)
	var told *warehouse.Error
	switch {
	case errors.As(err, &told) && told.Code == proto.ErrUnknownTable: // nothing has migrated yet
		f.found = "none yet"
	case err != nil:
		f.found, f.advice = err.Error(), "see ClickHouse above"
	case cutoff.IsZero():
		f.found = "none yet; `tieback serve` makes one each midnight UTC, `tieback run` one now"
	case cutoff.After(p.now()):
		f.found, f.advice = "published up to "+stamp(cutoff)+", which lies in the future", "a clock was wrong: check it, then `tieback run` computes all days again"
	case cutoff.Before(jobs.LastMidnight(p.now().Add(-lateRun))):
		f.found, f.advice = "published up to "+stamp(cutoff), "the last midnight is missing: `tieback status` says why, `tieback run` makes up for it"
	default:
		f.found = "published up to " + stamp(cutoff)
	}
	return f
}

// lookAtFlags looks at what comes in and is probably not meant so.
func (p *program) lookAtFlags(ctx context.Context, db *warehouse.DB) []finding {
	flags, err := reports.AccountFlags(ctx, db, "", p.now())
	var told *warehouse.Error
	switch {
	case errors.As(err, &told) && told.Code == proto.ErrUnknownTable: // nothing has migrated yet
		return nil
	case err != nil:
		return []finding{{subject: "events", found: err.Error(), advice: "see ClickHouse above"}}
	}
	crowded, dropped, undefined, waiting := flags.Texts()
	return []finding{
		flagged("user ids", "none has very many visitors", crowded,
			"a placeholder, or a login that many share: send an id that is a person's own, since all of them are taken for one"),
		flagged("dropped", "no browser event was dropped in 7 days", dropped,
			"docs/operating.md explains the reasons; the console of the pages' browsers warns of placeholders"),
		flagged("event names", "every conversion of 30 days has an event", undefined,
			"`tieback event add CUSTOMER APINAME --from TIME` makes the event, for past conversions too; or correct the name in the backend"),
		flagged("adjustments", "none waits for its conversion", waiting,
			"they name conversions that were not received: apiName and actionId must be as those were sent; they wait, however long"),
	}
}

// flagged is a warning where there are texts.
func flagged(subject, fine string, texts []string, advice string) finding {
	if len(texts) == 0 {
		return finding{subject: subject, found: fine}
	}
	return finding{subject: subject, found: strings.Join(texts, "\n                  "), advice: advice, warning: true}
}

// lateRun is how long after midnight a run may take before it is missed.
const lateRun = 2 * time.Hour

// spoolMoves is how long events may wait before they are reported: a busy service always
// has some.
const spoolMoves = 10 * time.Second

func (p *program) lookAtSpool(ctx context.Context) finding {
	f := finding{subject: "spool"}
	cursor, end, err := spool.Extent(spoolDir(p.dataDir))
	if err == nil && cursor.Before(end) {
		ctx, cancel := context.WithTimeout(ctx, spoolMoves)
		defer cancel()
		err = waitForService(ctx, spoolDir(p.dataDir), end)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.found = "events wait to be sent to ClickHouse for 10 s and more"
		f.advice = "start `tieback serve` if none runs; the /readyz of one that does says why"
	case err != nil:
		f.found, f.advice = err.Error(), "everything in the spool is sent again by the next start, and counts once; look at the disk"
	case cursor.Before(end):
		f.found = "events go on to ClickHouse"
	default:
		f.found = "empty"
	}
	return f
}

func (p *program) lookAtDeadLetters() finding {
	f := finding{subject: "dead letters", found: "none"}
	letters, err := ingest.NewDeadLetters(p.dataDir).List()
	switch {
	case err != nil:
		f.found, f.advice = err.Error(), "look at deadletter.ndjson in the data folder"
	case len(letters) > 0:
		f.found, f.advice = fmt.Sprintf("%d rows", len(letters)), "`tieback deadletter list` shows them with the reasons, `retry` inserts them again"
	}
	return f
}
