package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

func TestScreenIsRemembered(t *testing.T) {
	t.Parallel()
	dirs := place.Dirs{State: t.TempDir()}
	id := manifest.NewID()
	if got := FindScreen(dirs, id); got != (Screen{}) {
		t.Errorf("a job that was never left stopped at %v", got)
	}
	want := Screen{Offset: 4711, Modes: "\x1b[?1049h"}
	if err := LeaveScreen(dirs, id, want); err != nil {
		t.Fatal(err)
	}
	if got := FindScreen(dirs, id); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for range 2 { // the second time there is none
		if err := ForgetScreen(dirs, id); err != nil {
			t.Error(err)
		}
	}
	if got := FindScreen(dirs, id); got != (Screen{}) {
		t.Errorf("%v is still known", got)
	}
}

// A damaged file must not begin a log in the middle, and no word may lead out of the directory.
func TestScreenOfDamagedFile(t *testing.T) {
	t.Parallel()
	dirs := place.Dirs{State: t.TempDir()}
	id := manifest.NewID()
	if err := LeaveScreen(dirs, id, Screen{Offset: 7}); err != nil {
		t.Fatal(err)
	}
	if err := LeaveScreen(dirs, "../x", Screen{}); err == nil {
		t.Error("a word that is no id was taken")
	}
	for _, text := range []string{"", "{", `{"offset":-3}`, `{"offset":"x"}`} {
		if err := os.WriteFile(filepath.Join(screensDir(dirs), id), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := FindScreen(dirs, id); got.Offset != 0 {
			t.Errorf("%q begins at %d", text, got.Offset)
		}
	}
}

func TestOldScreensGo(t *testing.T) {
	t.Parallel()
	dirs := place.Dirs{State: t.TempDir()}
	dir := screensDir(dirs)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for range keepScreens {
		name := filepath.Join(dir, manifest.NewID())
		if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	id := manifest.NewID()
	if err := LeaveScreen(dirs, id, Screen{Offset: 1}); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) > keepScreens || FindScreen(dirs, id).Offset != 1 {
		t.Errorf("%d are kept, the newest begins at %d, %v", len(list), FindScreen(dirs, id).Offset, err)
	}
}
