package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// What a backup consists of: ClickHouse's own, the dead letters, and a manifest, which
// is written last, so that one that is there stands for a whole backup.
const (
	backupTables   = "clickhouse"
	backupLetters  = "deadletter.ndjson"
	backupManifest = "tieback-backup.json"
)

// manifest says what a backup holds.
type manifest struct {
	MadeAt time.Time         `json:"madeAt"`
	Rows   map[string]uint64 `json:"rows"` // by table, of those that nothing was inserted into meanwhile
}

type backupCmd struct {
	Dir string `arg:"" help:"Folder to write to; it must not exist yet."`
}

func (b *backupCmd) Run(ctx context.Context, p *program) error {
	if p.clickhouseURL != "" {
		return usageError{warehouse.ErrNotEmbedded}
	}
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return usagef("%s exists: a backup goes into a folder of its own", b.Dir)
		}
		return fmt.Errorf("make the backup's folder: %w", err)
	}
	err := p.withDB(ctx, func(db *warehouse.DB) error {
		if err := p.awaitSpool(ctx, db); err != nil {
			return fmt.Errorf("nothing was backed up: %w", err)
		}
		made := p.now().UTC()
		rows, err := db.Backup(ctx, filepath.Join(b.Dir, backupTables))
		if err != nil {
			return err
		}
		if err := copyFile(filepath.Join(p.dataDir, backupLetters), filepath.Join(b.Dir, backupLetters)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("copy the dead letters: %w", err)
		}
		text, err := json.MarshalIndent(manifest{MadeAt: made, Rows: rows}, "", "  ")
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(b.Dir, backupManifest), append(text, '\n')); err != nil {
			return fmt.Errorf("write the manifest: %w", err)
		}
		fmt.Fprintf(p.stdout, "backed up to %s; `tieback restore %[1]s --data DIR` brings it back, into an empty folder\n", b.Dir)
		return nil
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(b.Dir)) // this command has made it
	}
	return nil
}

type restoreCmd struct {
	Dir string `arg:"" help:"Folder that backup has written."`
}

func (r *restoreCmd) Run(ctx context.Context, p *program) error {
	if p.clickhouseURL != "" {
		return usageError{warehouse.ErrNotEmbedded}
	}
	text, err := os.ReadFile(filepath.Join(r.Dir, backupManifest))
	if err != nil {
		return fmt.Errorf("%s holds no whole backup: %w", r.Dir, err)
	}
	var made manifest
	if err := json.Unmarshal(text, &made); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(r.Dir, backupManifest), err)
	}
	if err := p.beginRestore(); err != nil {
		return err
	}
	db, err := p.openUnmigrated(ctx, false)
	if err != nil { // nothing was written
		return errors.Join(err, os.Remove(filepath.Join(p.dataDir, restoreMark)))
	}
	if err = errors.Join(p.restore(ctx, db, r.Dir, made), db.Close()); err != nil {
		return err
	}
	return errors.Join(os.Remove(filepath.Join(p.dataDir, restoreMark)), spool.SyncFolder(p.dataDir))
}

// restoreMark is a file that is in a data folder while a backup is brought back into it: what
// is there until then looks healthy, and is not whole.
const restoreMark = "restoring"

// beginRestore marks the data folder, unless there is something in it.
func (p *program) beginRestore() error {
	if err := p.restoredWhole(); err != nil {
		return err
	}
	for _, folder := range []string{"clickhouse", "spool"} {
		if entries, err := os.ReadDir(filepath.Join(p.dataDir, folder)); err == nil && len(entries) > 0 {
			return p.errHoldsData()
		}
	}
	if err := os.MkdirAll(p.dataDir, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w; choose another one with --data", err)
	}
	if err := writeFile(filepath.Join(p.dataDir, restoreMark), []byte("tieback restore has not ended in this folder\n")); err != nil {
		return fmt.Errorf("mark the data folder: %w", err)
	}
	return nil
}

func (p *program) errHoldsData() error {
	return fmt.Errorf("the data folder %s holds data: restore into an empty one, with --data", p.dataDir)
}

// restoredWhole is an error where a restore into the data folder was cut off.
func (p *program) restoredWhole() error {
	if _, err := os.Stat(filepath.Join(p.dataDir, restoreMark)); err != nil {
		return nil
	}
	return fmt.Errorf("a `tieback restore` into %s has not ended, or was cut off, so its data is not whole: delete the folder and restore again", p.dataDir)
}

func (p *program) restore(ctx context.Context, db *warehouse.DB, dir string, made manifest) error {
	rows, err := db.Restore(ctx, filepath.Join(dir, backupTables))
	if errors.Is(err, warehouse.ErrNotEmpty) {
		return p.errHoldsData()
	}
	if err != nil {
		return err
	}
	for table, want := range made.Rows {
		if rows[table] != want {
			return fmt.Errorf("the backup is not whole: table %s has %d rows, it had %d when the backup was made", table, rows[table], want)
		}
	}
	if err := copyFile(filepath.Join(dir, backupLetters), filepath.Join(p.dataDir, backupLetters)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("copy the dead letters: %w", err)
	}
	if _, _, err := db.Migrate(ctx); err != nil { // by an older version it may have been made
		return err
	}
	fmt.Fprintf(p.stdout, "restored what was backed up at %s: %d tables, %d client events and %d conversions\n",
		stamp(made.MadeAt), len(rows), rows["client_events"], rows["conversions"])
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, data)
}

// writeFile writes a file that is on disk when it returns.
func writeFile(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return spool.SyncFolder(filepath.Dir(path))
}
