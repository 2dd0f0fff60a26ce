//go:build linux

// Package daemon keeps one executor's daemon to a data directory: its lock, its socket, how it
// is started when none answers, and how a client is handed through to it.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// startLock is held by whoever starts a daemon until it answers, so that two clients start one.
func startLock(d layout.Data) string { return d.Run() + "/start.lock" }

// flock opens and locks a file, waiting for its present holder until ctx ends.
func flock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return f, nil
	}
	// The wait cannot be interrupted, so it gets a description of its own to end in.
	locked := make(chan error, 1)
	go func() {
		for {
			err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
			if !errors.Is(err, unix.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		if err == nil {
			return f, nil
		}
		return nil, errors.Join(fmt.Errorf("unable to lock %s: %w", path, err), f.Close())
	case <-ctx.Done():
		go func() { <-locked; f.Close() }()
		return nil, fmt.Errorf("unable to lock %s: %w", path, context.Cause(ctx))
	}
}

// lockData takes the data directory for this process. Only one daemon can have it; one that
// answers keeps it, one that is leaving is waited for.
func lockData(ctx context.Context, d layout.Data) (*os.File, error) {
	if answers(ctx, d) {
		return nil, occupied(d, errors.New("it answers"))
	}
	f, err := flock(ctx, d.Lock())
	if err != nil {
		return nil, occupied(d, err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	// Written before what is too much is cut off: a full disk would not give its block back.
	err = errors.Join(failpoint.At(failpoint.DaemonLock), writeAt(f, pid), f.Truncate(int64(len(pid))))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("unable to lock %s: %w", d, err), f.Close())
	}
	return f, nil
}

// TakeOver ends the daemon, if there is one, and keeps the data directory from any other process
// until it is closed. Jobs go on. Nobody starts a daemon in between.
func TakeOver(ctx context.Context, d layout.Data) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	start, err := flock(ctx, startLock(d))
	if err != nil {
		return nil, err
	}
	defer start.Close()
	if _, err := stop(ctx, d); err != nil {
		return nil, err
	}
	return lockData(ctx, d)
}

func occupied(d layout.Data, err error) error {
	holder, _ := os.ReadFile(d.Lock())
	return api.Errorf(api.Conflict, "cyclopsd stop ends it", "another daemon (process %s) has %s: %w", strings.TrimSpace(string(holder)), d, err)
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// storeIDSetting keeps a copy of the store's id.
const storeIDSetting = "store"

// storeID reads the random id of a data directory, making it the first time. The database has a
// copy: clients would take a store of another id for an empty one.
func storeID(ctx context.Context, d layout.Data, s *store.Store) (string, error) {
	kept, err := s.Setting(ctx, storeIDSetting)
	if err != nil {
		return "", fmt.Errorf("unable to read the store's id: %w", err)
	}
	data, err := os.ReadFile(d.StoreID())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("unable to read the store's id: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if kept != "" && id == kept {
		return id, nil
	}
	if kept != "" {
		slog.Warn("the store's id was damaged and is written again", "was", id, "is", kept)
		return kept, writeStoreID(d, kept)
	}
	if !manifest.ValidID(id) {
		id = manifest.NewID()
		if err := writeStoreID(d, id); err != nil {
			return "", err
		}
	}
	return id, s.SetSetting(ctx, storeIDSetting, id)
}

func writeStoreID(d layout.Data, id string) error {
	err := failpoint.Do(failpoint.DaemonID, func() error {
		return renameio.WriteFile(d.StoreID(), []byte(id+"\n"), 0o600, renameio.WithTempDir(string(d)))
	})
	if err != nil {
		return fmt.Errorf("unable to write the store's id: %w", err)
	}
	return nil
}
