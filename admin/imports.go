package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/tieback/tieback/ingest/history"
	"github.com/tieback/tieback/refuse"
)

const (
	// maxFileBytes bounds a file that is uploaded; larger ones are for the command.
	maxFileBytes = 10 << 20
	// maxFormBytes is what the form around it may take besides.
	maxFormBytes = 64 << 10

	maxUploads = 4
	uploadLife = 30 * time.Minute
)

// upload is a file that was previewed and may be imported.
type upload struct {
	Name     string
	IsTable  bool
	TimeZone string
	Restate  bool

	data []byte
	at   time.Time
}

// uploads keeps the last few files in memory: what is confirmed is what was previewed.
type uploads struct {
	mu   sync.Mutex
	byID map[string]*upload
}

func (u *uploads) keep(file *upload) (id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = map[string]*upload{}
	}
	for len(u.byID) >= maxUploads {
		oldest := ""
		for id, other := range u.byID {
			if oldest == "" || other.at.Before(u.byID[oldest].at) {
				oldest = id
			}
		}
		delete(u.byID, oldest)
	}
	id = uuid.NewString()
	u.byID[id] = file
	return id
}

// take returns a file and forgets it, nil where it is not kept any more.
func (u *uploads) take(id string, now time.Time) *upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	file := u.byID[id]
	delete(u.byID, id)
	if file == nil || now.Sub(file.at) > uploadLife {
		return nil
	}
	return file
}

// importData is what an import would do, or did.
type importData struct {
	File     *upload // nil before one was chosen
	ID       string  // to import it with, empty where it was
	Rows     []previewRow
	Summary  []string
	Faults   []string
	Warnings []string
	Failed   string // why reading stopped
}

type previewRow struct {
	Line int64
	history.Row
}

func (a *Admin) viewImport(*fiber.Ctx) (*view, error) {
	return &view{Title: "Import", Tab: "import", Data: importData{}}, nil
}

// previewImport shows what a file would do.
func (a *Admin) previewImport(c *fiber.Ctx) (*view, error) {
	file, err := a.uploaded(c)
	if err != nil {
		return nil, err
	}
	data, err := a.importFile(c.UserContext(), file, true)
	if err != nil {
		return nil, err
	}
	data.ID = a.uploads.keep(file)
	return &view{Title: "Import", Tab: "import", Data: data}, nil
}

// storeImport imports a file that was previewed.
func (a *Admin) storeImport(c *fiber.Ctx) (*view, error) {
	file := a.uploads.take(exactly(c, "id"), a.cfg.Now())
	if file == nil {
		return nil, refuse.Conflictf("the file is not kept any more: choose it again")
	}
	data, err := a.importFile(c.UserContext(), file, false)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Live.Refresh(c.UserContext()); err != nil {
		a.cfg.Log.Warn("a file was imported, but the catalog can't be read yet", "err", err)
	}
	return &view{Title: "Import", Tab: "import", Data: data}, nil
}

// uploaded reads the form.
func (a *Admin) uploaded(c *fiber.Ctx) (*upload, error) {
	_, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || params["boundary"] == "" {
		return nil, refuse.Invalidf("the form holds no file")
	}
	form, err := multipart.NewReader(bytes.NewReader(c.Request().Body()), params["boundary"]).ReadForm(maxFileBytes + maxFormBytes)
	if err != nil || len(form.File["file"]) != 1 {
		return nil, refuse.Invalidf("the form holds no file")
	}
	defer func() { _ = form.RemoveAll() }()
	header := form.File["file"][0]
	if header.Size > maxFileBytes {
		return nil, refuse.Invalidf("the file has more than 10 MB; `tieback import` takes it, of any size")
	}
	content, err := header.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	file := &upload{Name: header.Filename, at: a.cfg.Now()}
	if file.data, err = io.ReadAll(content); err != nil {
		return nil, err
	}
	if len(file.data) == 0 {
		return nil, refuse.Invalidf("choose a file that is not empty")
	}
	if packing := history.Packing(file.data); packing != "" {
		return nil, refuse.Invalidf("the file is packed with %s; unpack it, or give it to `tieback import`", packing)
	}
	value := func(name string) string { return strings.TrimSpace(strings.Join(form.Value[name], "")) }
	file.IsTable = strings.HasSuffix(strings.ToLower(file.Name), ".csv")
	file.TimeZone, file.Restate = value("timeZone"), value("restate") != ""
	_, err = history.ParseZone(file.TimeZone)
	return file, err
}

// importFile reads a file; what it holds that is wrong is reported, not an error.
func (a *Admin) importFile(ctx context.Context, file *upload, dryRun bool) (importData, error) {
	data := importData{File: file}
	importer, err := history.NewImporter(ctx, a.cfg.DB, a.cfg.Store, a.cfg.Now())
	if err != nil {
		return data, err
	}
	importer.Zone, err = history.ParseZone(file.TimeZone)
	if err != nil {
		return data, err
	}
	importer.Restate, importer.DryRun = file.Restate, dryRun
	if dryRun {
		importer.Preview = func(at history.Place, r history.Row) { data.Rows = append(data.Rows, previewRow{at.Number, r}) }
	}
	read := importer.Read
	if file.IsTable {
		read = importer.ReadCSV
	}
	readErr := read(ctx, "the file", bytes.NewReader(file.data))
	summary, err := importer.Finish(ctx)
	if err != nil {
		return data, err
	}
	switch {
	case errors.Is(readErr, history.ErrNotLines):
		return data, refuse.Invalidf("%s", readErr)
	case readErr != nil:
		data.Failed = readErr.Error()
	}
	data.Summary = summary.Texts(dryRun)
	for _, f := range importer.Faults() {
		data.Faults = append(data.Faults, f.String())
	}
	for _, w := range importer.Warnings() {
		data.Warnings = append(data.Warnings, fmt.Sprintf("%d: %s", w.Lines, w.Text))
	}
	return data, nil
}
