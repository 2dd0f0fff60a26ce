//go:build linux

package engine

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// A manifest that could not be read for eight seconds made a job lost that had ended well.
func TestAManifestThatCannotBeReadForLongIsReadInTheEnd(t *testing.T) {
	t.Parallel()
	data := layout.Data(t.TempDir())
	j := &job{row: store.Job{ID: manifest.NewID()}}
	path := data.Manifest(j.row.ID)
	if err := os.MkdirAll(path, 0o700); err != nil { // no read of a directory succeeds
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{Options: Options{Data: data, Log: slog.New(slog.DiscardHandler)}}
		e.ctx, e.stop = context.WithCancel(t.Context())
		got := make(chan string)
		go func() {
			doc, err := e.readEnd(j)
			if err != nil {
				doc = []byte(err.Error())
			}
			got <- string(doc)
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("its end"), 0o600); err != nil {
			t.Fatal(err)
		}
		if doc := <-got; doc != "its end" {
			t.Errorf("it read %q", doc)
		}
	})
}

// stopped is a supervisor that neither listens nor ends, as one that somebody sent STOP.
type stopped struct{ waited chan struct{} }

func (s stopped) Wait(ctx context.Context) error {
	close(s.waited)
	<-ctx.Done()
	return ctx.Err()
}

// A daemon that was to leave waited for a supervisor that was stopped, and called its job lost if that ended meanwhile.
func TestADaemonLeavesThoughASupervisorDoesNotEnd(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	j := restored(store.Job{ID: manifest.NewID(), State: manifest.Running}, &manifest.Job{})
	s := stopped{make(chan struct{})}
	h.wg.Go(func() { h.follow(j, s) })
	<-s.waited
	h.Close()
	select {
	case <-j.ended:
		t.Errorf("its job was ended: %+v", j.row)
	default:
	}
}
