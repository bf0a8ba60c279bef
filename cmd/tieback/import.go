package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/klauspost/compress/zstd"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest/history"
	"github.com/tieback/tieback/warehouse"
)

type importCmd struct {
	Files    []string `arg:"" name:"file" help:"Files of lines of JSON or one array, or tables of conversions (.csv); - is standard input."`
	CSV      bool     `name:"csv" help:"They are tables of conversions, whatever their names."`
	TimeZone string   `placeholder:"ZONE" help:"Of times in tables that have none, as Europe/Berlin."`
	Restate  bool     `help:"Take over the values that differ from those known, as adjustments from now on."`
	DryRun   bool     `help:"Show the first rows as they are understood, and what is wrong; store nothing."`
	Rejects  string   `placeholder:"FILE" help:"Write the bad lines to this file."`
}

// errBadLines makes the exit code 1; the lines themselves were printed already.
var errBadLines = errors.New("")

func (i *importCmd) Run(ctx context.Context, p *program) error {
	for _, file := range i.Files { // before anything is loaded
		if file == "-" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
		if rejects, err := os.Stat(i.Rejects); err == nil && os.SameFile(info, rejects) {
			return usagef("nothing was imported: --rejects %s would overwrite %s; name another file", i.Rejects, file)
		}
	}
	zone, err := history.ParseZone(i.TimeZone)
	if err != nil {
		return usagef("--time-zone: %s", err)
	}
	return p.adding(ctx, func(db *warehouse.DB) (err error) {
		rejects, err := openRejects(i.Rejects)
		if err != nil {
			return err
		}
		importer, err := history.NewImporter(ctx, db, catalog.NewStore(db, p.now), p.now())
		if err != nil {
			return err
		}
		importer.Zone, importer.Restate, importer.DryRun = zone, i.Restate, i.DryRun
		importer.Rejects = rejects // its error comes with Flush
		importer.Tell = p.importProgress()
		return i.load(ctx, p, importer, rejects)
	})
}

// load reads the files. A file that can't be read to its end stops it; what was read
// before is loaded and printed all the same.
func (i *importCmd) load(ctx context.Context, p *program, importer *history.Importer, rejects *bufio.Writer) error {
	preview := newTable("line", "type", "account", "what", "when", "received")
	if i.DryRun {
		importer.Preview = func(at history.Place, r history.Row) {
			preview.AppendRow(table.Row{at.Number, r.Type, r.Account, r.What, r.At, r.Received})
		}
	}
	var readErr error
	for _, file := range i.Files {
		if readErr = p.importFile(ctx, importer, file, i.CSV); readErr != nil {
			break
		}
	}
	if preview.Length() > 0 {
		fmt.Fprintln(p.stdout, "the first rows, as they are understood:")
		if err := render(p.stdout, preview); err != nil {
			return err
		}
	}
	summary, err := importer.Finish(ctx)
	if flushErr := rejects.Flush(); flushErr != nil {
		err = errors.Join(err, fmt.Errorf("write the rejects: %w", flushErr))
	}
	if err != nil {
		return errors.Join(readErr, err)
	}
	if !i.DryRun {
		p.tellMade(importer.Made())
	}
	for _, faults := range importer.Faults() {
		fmt.Fprintln(p.stderr, faults)
	}
	for _, warning := range importer.Warnings() {
		fmt.Fprintf(p.stderr, "%s: %s\n", human.Count(warning.Lines, "line"), warning.Text)
	}
	for _, line := range summary.Texts(i.DryRun) {
		fmt.Fprintln(p.stdout, line)
	}
	if readErr == nil && summary.Bad > 0 {
		return errBadLines
	}
	return readErr
}

func openRejects(path string) (*bufio.Writer, error) {
	if path == "" {
		return bufio.NewWriter(io.Discard), nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the file of rejects: %w", err)
	}
	return bufio.NewWriter(file), nil // closed by the end of the process
}

// importFile unpacks and reads one file. Standard input has no name that says how it is packed,
// so its first bytes do.
func (p *program) importFile(ctx context.Context, importer *history.Importer, path string, isTable bool) error {
	name, r := "standard input", p.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		name, r = path, file
	}
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	packing := packingOf(path)
	switch found := history.Packing(start); {
	case path == "-":
		packing = found
	case packing != "" && packing != found:
		return fmt.Errorf("%s is not %s by its first bytes, as its name says: rename it, or make it again", name, packing)
	}
	unpacked, err := unpack(packing, buffered)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	defer unpacked.Close()
	unpackedName := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(path), ".gz"), ".zst")
	if isTable || strings.HasSuffix(unpackedName, ".csv") {
		return importer.ReadCSV(ctx, name, unpacked)
	}
	return importer.Read(ctx, name, unpacked)
}

// packingOf is how a file is packed by its name.
func packingOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return "gzip"
	case strings.HasSuffix(path, ".zst"):
		return "zstd"
	default:
		return ""
	}
}

func unpack(packing string, r io.Reader) (io.ReadCloser, error) {
	switch packing {
	case "gzip":
		return gzip.NewReader(r)
	case "zstd":
		unpacked, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		return unpacked.IOReadCloser(), nil
	default:
		return io.NopCloser(r), nil
	}
}

// progressInterval is how often a long import says how far it is.
const progressInterval = 5 * time.Second

// importProgress rewrites one line in a terminal and writes plain lines elsewhere.
func (p *program) importProgress() func(history.Summary) {
	started, last := time.Now(), time.Now()
	return func(s history.Summary) {
		interval, form := progressInterval, "%d lines, %.0f a second\n"
		if isTerminal(p.rawErr) {
			interval, form = progressInterval/20, "\r\033[K%d lines, %.0f a second\r"
		}
		if time.Since(last) < interval {
			return
		}
		last = time.Now()
		fmt.Fprintf(p.rawErr, form, s.Lines, float64(s.Lines)/time.Since(started).Seconds())
	}
}
