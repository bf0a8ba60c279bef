package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
)

// ErrNotEmbedded says that something is done for the embedded engine only.
var ErrNotEmbedded = errors.New("a server has its own BACKUP and RESTORE; this is for the embedded engine")

// ErrNotEmpty says that a backup would be restored over data.
var ErrNotEmpty = errors.New("there are tables already")

// Backup writes all tables to dir, which must not exist. Neither a run nor a change of
// the catalog takes place meanwhile, so that the tables fit together. It returns how
// many rows each table had that nothing was inserted into meanwhile.
func (db *DB) Backup(ctx context.Context, dir string) (rows map[string]uint64, err error) {
	if db.engine == nil {
		return nil, ErrNotEmbedded
	}
	for _, name := range []string{"run", "catalog"} {
		held, err := db.Lock(ctx, name, 0, nil)
		if err != nil {
			return nil, err
		}
		defer held.Release()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	before, err := db.rowsOfTables(ctx)
	if err != nil {
		return nil, err
	}
	if err := db.Exec(ctx, "backup database `"+db.database+"` to File("+quoteText(dir)+")", nil); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	after, err := db.rowsOfTables(ctx)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(after, func(table string, rows uint64) bool { return before[table] != rows })
	return after, nil
}

// Restore brings back the tables that Backup has written to dir. The database must be
// empty, not even migrated.
func (db *DB) Restore(ctx context.Context, dir string) (rows map[string]uint64, err error) {
	if db.engine == nil {
		return nil, ErrNotEmbedded
	}
	before, err := db.rowsOfTables(ctx)
	if err != nil {
		return nil, err
	}
	if len(before) > 0 {
		return nil, ErrNotEmpty
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := db.Exec(ctx, "restore database `"+db.database+"` from File("+quoteText(dir)+")", nil); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return db.rowsOfTables(ctx)
}

func (db *DB) rowsOfTables(ctx context.Context) (map[string]uint64, error) {
	var tables []struct {
		Name string `ch:"name"`
		Rows uint64 `ch:"rows"`
	}
	err := db.Select(ctx, &tables, `select name, ifNull(total_rows, 0) as rows from system.tables
		where database = currentDatabase() and engine like '%MergeTree'`, nil)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	rows := make(map[string]uint64, len(tables))
	for _, table := range tables {
		rows[table.Name] = table.Rows
	}
	return rows, nil
}

// quoteText writes a text as an SQL literal, where no parameter may stand.
func quoteText(text string) string {
	quoted := []byte{'\''}
	for i := range len(text) {
		if text[i] == '\'' || text[i] == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, text[i])
	}
	return string(append(quoted, '\''))
}
