package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Every row carries a proof, the beginning of a digest over its columns, which triggers keep. SQLite
// itself does not notice a byte that changed on the disk.

// proofFunction is what SQL calls the digest.
const proofFunction = "row_proof"

// proofSize is how many bytes of the digest a row keeps.
const proofSize = 8

// table is what a proof of one table covers.
type table struct {
	name    string
	key     []string
	columns []string
}

func tables() []table {
	return []table{
		{"jobs", []string{"seq"}, strings.Split(columns, ", ")},
		{"specs", []string{"seq"}, []string{"seq", "spec"}},
		{"tombstones", []string{"id"}, []string{"id", "digest", "removed"}},
		{"packs", []string{"sum"}, []string{"sum", "size"}},
		{"snapshots", []string{"sum"}, []string{"sum"}},
		{"snapshot_packs", []string{"snapshot", "pack"}, []string{"snapshot", "pack"}},
		{"holds", []string{"job", "pack"}, []string{"job", "pack", "until"}},
		{"settings", []string{"name"}, []string{"name", "value"}},
	}
}

// proof is the SQL for what a row's proof should be; prefix is that of its columns.
func (t table) proof(prefix string) string {
	return proofFunction + "(" + prefix + strings.Join(t.columns, ", "+prefix) + ")"
}

// sound is the SQL that holds for a row whose proof is right.
func (t table) sound() string { return "proof IS " + t.proof("") }

// prove adds proofs to a table that has none.
func (t table) prove() string {
	var where []string
	for _, k := range t.key {
		where = append(where, k+" = NEW."+k)
	}
	set := fmt.Sprintf("BEGIN UPDATE %s SET proof = %s WHERE %s; END;", t.name, t.proof("NEW."), strings.Join(where, " AND "))
	return fmt.Sprintf(`ALTER TABLE %[1]s ADD COLUMN proof BLOB;
UPDATE %[1]s SET proof = %[2]s;
CREATE TRIGGER %[1]s_added AFTER INSERT ON %[1]s %[3]s
CREATE TRIGGER %[1]s_changed AFTER UPDATE OF %[4]s ON %[1]s %[3]s
`, t.name, t.proof(""), set, strings.Join(t.columns, ", "))
}

// registerProof makes the digest known to SQLite, whose functions belong to the whole process.
var registerProof = sync.OnceValue(func() error {
	return sqlite.RegisterDeterministicScalarFunction(proofFunction, -1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		return proofOf(args)
	})
})

func proofOf(values []driver.Value) ([]byte, error) {
	h := sha256.New()
	for _, v := range values {
		var kind byte
		var data []byte
		switch v := v.(type) {
		case nil:
		case int64:
			kind, data = 1, binary.BigEndian.AppendUint64(nil, uint64(v))
		case string:
			kind, data = 2, []byte(v)
		case []byte:
			kind, data = 3, v
		default:
			return nil, fmt.Errorf("a row holds a %T", v)
		}
		h.Write(binary.BigEndian.AppendUint64([]byte{kind}, uint64(len(data))))
		h.Write(data)
	}
	return h.Sum(nil)[:proofSize], nil
}

// damagedHint says what to do about a database that is damaged.
const damagedHint = "cyclopsd check --repair, on the host, makes it whole from the jobs' directories"

func damagedRow(table, name string) error {
	return api.Errorf(api.Corrupt, damagedHint, "the row of %s in table %s of jobs.db is damaged", name, table)
}

// IsDamaged tells whether an error says that the database does not hold what was written.
func IsDamaged(err error) bool {
	if api.KindOf(err) == api.Corrupt {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// Damage is something wrong with the database.
type Damage struct {
	Table string // empty: the file as a whole
	Name  string // of the row, for people
	Wrong string
}

// Check looks at every row and, if full, at the structure of the whole file, and tells found of what is wrong.
func (s *Store) Check(ctx context.Context, full bool, found func(Damage)) error {
	pragma := `PRAGMA quick_check(100)`
	if full {
		pragma = `PRAGMA integrity_check(100)`
	}
	err := s.each(ctx, pragma, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		if err == nil && text != "ok" {
			found(Damage{Wrong: text})
		}
		return err
	})
	for _, t := range tables() {
		if err != nil && !IsDamaged(err) {
			return err
		}
		if err != nil {
			found(Damage{Wrong: err.Error()})
		}
		err = s.checkTable(ctx, t, found)
	}
	if err != nil && IsDamaged(err) {
		found(Damage{Wrong: err.Error()})
		return nil
	}
	return err
}

func (s *Store) checkTable(ctx context.Context, t table, found func(Damage)) error {
	keys := make([]string, len(t.key))
	for i, k := range t.key {
		keys[i] = "CASE typeof(" + k + ") WHEN 'blob' THEN lower(hex(" + k + ")) ELSE CAST(" + k + " AS TEXT) END"
	}
	query := `SELECT ` + strings.Join(keys, " || ' ' || ") + ` FROM ` + t.name + ` WHERE NOT (` + t.sound() + `)`
	return s.each(ctx, query, func(rows *sql.Rows) error {
		var name sql.NullString
		if err := rows.Scan(&name); err != nil {
			return err
		}
		found(Damage{Table: t.name, Name: name.String, Wrong: "a column is not what was written"})
		return nil
	})
}

func (s *Store) each(ctx context.Context, query string, do func(*sql.Rows) error) error {
	rows, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
