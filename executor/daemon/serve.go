//go:build linux

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/boot"
	"github.com/cyclops-fpga/cyclops/executor/engine"
	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/serve"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// Serve is the daemon: it takes the data directory, answers until ctx ends or a client asks it to
// leave, and leaves every supervisor running. What goes wrong before it answers is told to
// whoever started it.
func Serve(ctx context.Context, d layout.Data, self []string) error {
	say, held := inherited(readyVariable), inherited(heldVariable)
	dm, err := open(ctx, d, self, held)
	if err != nil {
		tellStarter(say, err)
		return err
	}
	tellStarter(say, nil)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	err = dm.serve(ctx)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return err
}

// tellStarter says "ready", or why there will be no daemon.
func tellStarter(say *os.File, err error) {
	if say == nil {
		return
	}
	defer say.Close()
	line := []byte(ready)
	if err != nil {
		line, _ = json.Marshal(sorry("", err).Error)
		line = append(line, '\n')
	}
	if _, err := say.Write(line); err != nil {
		slog.Warn("unable to answer whoever started the daemon", "error", err)
	}
}

// running is a daemon that has its data directory.
type running struct {
	lock     *os.File
	store    *store.Store
	engine   *engine.Engine
	server   *serve.Server
	listener net.Listener
	leave    chan struct{}
}

// open takes the data directory and makes everything ready to answer. held is the start lock, if
// whoever started this process passed it on.
func open(ctx context.Context, d layout.Data, self []string, held *os.File) (_ *running, err error) {
	if err := d.Create(); err != nil {
		return nil, fmt.Errorf("unable to make %s: %w", d, err)
	}
	if held == nil {
		if held, err = flock(ctx, startLock(d)); err != nil {
			return nil, err
		}
	}
	defer held.Close()
	limit, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	r := &running{leave: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = explainDisk(d, errors.Join(err, r.close()))
		}
	}()
	if r.lock, err = lockData(limit, d); err != nil {
		return nil, err
	}
	err = r.build(ctx, d, self)
	if store.IsDamaged(err) {
		err = r.salvage(ctx, d, self, err)
	}
	return r, err
}

// salvage goes on with what of a damaged database is sound: a start must need no hand.
func (r *running) salvage(ctx context.Context, d layout.Data, self []string, cause error) error {
	slog.Error("the database is damaged and is made anew from what is sound of it and from the jobs' directories", "error", cause)
	if err := r.closeParts(); err != nil {
		slog.Warn("the damaged database did not close", "error", err)
	}
	r.store, r.engine, r.server, r.listener = nil, nil, nil, nil
	room := space.Keep(d.Reserve())
	if err := room.Use(func() error { return store.Salvage(ctx, d.Database(), d.Damaged()) }); err != nil {
		return errors.Join(cause, err)
	}
	return r.build(ctx, d, self)
}

func (r *running) build(ctx context.Context, d layout.Data, self []string) error {
	config, err := hostconfig.Load(d.Config())
	if err != nil {
		return err
	}
	room := space.Keep(d.Reserve())
	if err := failpoint.Do(failpoint.DaemonStore, func() error {
		return room.Use(func() (err error) { r.store, err = store.Open(ctx, d.Database()); return err })
	}); err != nil {
		return err
	}
	id, err := storeID(ctx, d, r.store)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("unable to learn the host's name: %w", err)
	}
	log, content := slog.Default(), inputs.New(d, r.store)
	r.engine, err = engine.New(ctx, engine.Options{
		Data: d, Self: self, StoreID: id, Host: host, Config: config, Store: r.store, Inputs: content,
		Room: room, Boot: boot.ID(), Launcher: engine.Local{Stderr: os.Stderr}, Clock: engine.SystemClock(), Log: log,
	})
	if err != nil {
		return err
	}
	r.server = serve.New(serve.Options{
		Data: d, Socket: announced(d), StoreID: id, Host: host, Engine: r.engine, Inputs: content, Log: log, Shutdown: r.shutdown,
	})
	l, err := newListener(d)
	if err != nil {
		return err // r.listener stays nil: one that is a nil pointer would be closed
	}
	r.listener = l
	return nil
}

// shutdown asks serve to return.
func (r *running) shutdown() {
	select {
	case r.leave <- struct{}{}:
	default:
	}
}

func (r *running) serve(ctx context.Context) error {
	slog.Debug("serving", "version", api.BuildVersion(), "pid", os.Getpid())
	// Starting up takes memory that idling does not need.
	debug.FreeOSMemory()
	failed := make(chan error, 1)
	go func() { failed <- r.server.Serve(r.listener) }()
	var err error
	select {
	case <-ctx.Done():
	case <-r.leave:
	case err = <-failed:
		return errors.Join(err, r.close())
	}
	err = r.close()
	return errors.Join(<-failed, err)
}

// close gives everything back in the order opposite to open.
func (r *running) close() error {
	err := r.closeParts()
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}

func (r *running) closeParts() error {
	var errs []error
	if r.listener != nil {
		errs = append(errs, r.listener.Close())
	}
	if r.server != nil {
		r.server.Close()
	}
	if r.engine != nil {
		r.engine.Close()
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	return errors.Join(errs...)
}
