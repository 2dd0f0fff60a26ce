package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

// Job is one job as it is indexed.
type Job struct {
	Seq       int64
	ID        string
	Digest    manifest.Sum // of the job document's bytes
	State     manifest.State
	Priority  manifest.Priority
	Workspace string
	Name      string
	Snapshot  manifest.Sum // zero: none
	Accepted  time.Time
	Started   time.Time // zero: never
	Ended     time.Time // zero: not yet
	ExitCode  *int
	Signal    string
	Reason    string
	LogSize   int64
	Record    manifest.Sum // of the manifest's bytes; zero: it has none, or was written by an older executor
	About     About
}

// About is the part of a job that nothing selects by.
type About struct {
	Project string                 `json:"project,omitempty"`
	Labels  map[string]string      `json:"labels,omitempty"`
	Owner   string                 `json:"owner,omitempty"`
	Command string                 `json:"command"`
	Mode    manifest.WorkspaceMode `json:"mode"`
	Steps   []api.StepInfo         `json:"steps,omitempty"`
	Beside  string                 `json:"beside,omitempty"` // id of the job in whose workspace it runs
	Boot    string                 `json:"boot,omitempty"`   // of the machine in which it was started last

	Terminal bool     `json:"terminal,omitempty"`
	Pinned   bool     `json:"pinned,omitempty"` // it is not removed until it is unpinned
	Warnings []string `json:"warnings,omitempty"`
}

const columns = `seq, id, digest, state, rank, workspace, name, snapshot, accepted, started, ended, exit, signal, reason, log, about, record`

// selected is columns and whether the row's proof is right.
const selected = columns + `, proof IS ` + proofFunction + `(` + columns + `)`

var priorities = [...]manifest.Priority{manifest.Interactive, manifest.Normal, manifest.Low}

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Job, error) {
	var j Job
	var digest, snapshot, about, record []byte
	var rank int
	var sound bool
	var accepted, started, ended int64
	var exit sql.NullInt64
	err := row.Scan(&j.Seq, &j.ID, &digest, &j.State, &rank, &j.Workspace, &j.Name, &snapshot,
		&accepted, &started, &ended, &exit, &j.Signal, &j.Reason, &j.LogSize, &about, &record, &sound)
	if errors.Is(err, sql.ErrNoRows) {
		return j, ErrNotFound
	}
	if err != nil {
		return j, err
	}
	if !sound {
		return j, damagedRow("jobs", j.ID)
	}
	copy(j.Record[:], record)
	copy(j.Digest[:], digest)
	copy(j.Snapshot[:], snapshot)
	j.Priority = priorities[min(max(rank, 0), len(priorities)-1)]
	j.Accepted, j.Started, j.Ended = fromNano(accepted), fromNano(started), fromNano(ended)
	if exit.Valid {
		code := int(exit.Int64)
		j.ExitCode = &code
	}
	if err := json.Unmarshal(about, &j.About); err != nil {
		return j, fmt.Errorf("unable to read job %s: %w", j.ID, err)
	}
	return j, nil
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func sumOrNull(s manifest.Sum) any {
	if s.IsZero() {
		return nil
	}
	return s[:]
}

func insert(ctx context.Context, tx *sql.Tx, j *Job, spec []byte) error {
	about, err := json.Marshal(j.About)
	if err != nil {
		return fmt.Errorf("unable to write job %s: %w", j.ID, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO jobs (`+columns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		j.Seq, j.ID, j.Digest[:], j.State, j.Priority.Rank(), j.Workspace, j.Name, sumOrNull(j.Snapshot),
		nano(j.Accepted), nano(j.Started), nano(j.Ended), j.ExitCode, j.Signal, j.Reason, j.LogSize, about, sumOrNull(j.Record))
	if err != nil {
		return fmt.Errorf("unable to insert job %s: %w", j.ID, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO specs (seq, spec) VALUES (?, ?)`, j.Seq, spec)
	return err
}

// LastSeq returns the highest number that a job ever had here.
func (s *Store) LastSeq(ctx context.Context) (int64, error) {
	var seq int64
	err := s.read.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'jobs'`).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// Get returns a job by its id, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (Job, error) {
	return scan(s.read.QueryRowContext(ctx, `SELECT `+selected+` FROM jobs WHERE id = ?`, id))
}

// Spec returns the bytes of a job's document, or ErrNotFound.
func (s *Store) Spec(ctx context.Context, id string) ([]byte, error) {
	var spec, digest []byte
	err := s.read.QueryRowContext(ctx, `SELECT spec, digest FROM specs JOIN jobs USING (seq) WHERE id = ?`, id).Scan(&spec, &digest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err == nil && (len(digest) != manifest.DigestSize || manifest.SumOf(spec) != manifest.Sum(digest)) {
		return nil, damagedRow("specs", id)
	}
	return spec, err
}

// Live returns every job that has not ended, in the order of acceptance.
func (s *Store) Live(ctx context.Context) ([]Job, error) {
	return s.query(ctx, `SELECT `+selected+` FROM jobs WHERE ended = 0 ORDER BY seq`)
}

func (s *Store) query(ctx context.Context, query string, args ...any) ([]Job, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var jobs []Job
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}

// Start records durably that a job may have started from now on.
func (s *Store) Start(ctx context.Context, j Job) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		about, err := aboutNow(ctx, tx, j)
		if err != nil {
			return err
		}
		return changeOne(tx.ExecContext(ctx, `UPDATE jobs SET state = 'running', started = ?, about = ? WHERE id = ? AND ended = 0`,
			nano(j.Started), about, j.ID))
	})
}

// Requeue takes back a Start that nothing came of.
func (s *Store) Requeue(ctx context.Context, id string) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		return changeOne(tx.ExecContext(ctx, `UPDATE jobs SET state = 'queued', started = 0 WHERE id = ? AND ended = 0`, id))
	})
}

// SetPriority records durably where a job stands in the queue.
func (s *Store) SetPriority(ctx context.Context, id string, p manifest.Priority) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		return changeOne(tx.ExecContext(ctx, `UPDATE jobs SET rank = ? WHERE id = ?`, p.Rank(), id))
	})
}

// End records how a job ended. A power cut may undo it: the job's manifest says the same.
func (s *Store) End(ctx context.Context, j Job) error {
	return s.note(ctx, func(tx *sql.Tx) error {
		about, err := aboutNow(ctx, tx, j)
		if err != nil {
			return err
		}
		return changeOne(tx.ExecContext(ctx,
			`UPDATE jobs SET state = ?, started = ?, ended = ?, exit = ?, signal = ?, reason = ?, log = ?, about = ?, record = ? WHERE id = ?`,
			j.State, nano(j.Started), nano(j.Ended), j.ExitCode, j.Signal, j.Reason, j.LogSize, about, sumOrNull(j.Record), j.ID))
	})
}

// aboutNow is what is to be written about a job. A pin that was set since j was read stays.
func aboutNow(ctx context.Context, tx *sql.Tx, j Job) ([]byte, error) {
	now, err := scan(tx.QueryRowContext(ctx, `SELECT `+selected+` FROM jobs WHERE id = ?`, j.ID))
	if err != nil {
		return nil, err
	}
	j.About.Pinned = now.About.Pinned
	about, err := json.Marshal(j.About)
	if err != nil {
		return nil, fmt.Errorf("unable to write job %s: %w", j.ID, err)
	}
	return about, nil
}

func changeOne(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return ErrNotFound
}
