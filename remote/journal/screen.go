package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// keepScreens is how many jobs that were left are remembered.
const keepScreens = 1000

// Screen is where the screen of a job that was left behind stopped.
type Screen struct {
	Offset int64  `json:"offset"`          // of the log, up to which it was shown
	Modes  string `json:"modes,omitempty"` // what switches the terminal to the modes that the job had chosen
}

func screensDir(dirs place.Dirs) string { return filepath.Join(dirs.State, "screens") }

// LeaveScreen remembers where the screen of a job stopped.
func LeaveScreen(dirs place.Dirs, id string, s Screen) error {
	if !manifest.ValidID(id) {
		return fmt.Errorf("unable to remember the screen of %q: that is no job", id)
	}
	dir := screensDir(dirs)
	data, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("unable to remember the screen of job %s: %w", id, err)
	}
	temp := filepath.Join(dir, fmt.Sprintf(".%s.%d", id, os.Getpid()))
	if err = os.WriteFile(temp, data, 0o600); err == nil {
		err = os.Rename(temp, filepath.Join(dir, id))
	}
	if err != nil {
		return fmt.Errorf("unable to remember the screen of job %s: %w", id, err)
	}
	return pruneScreens(dir)
}

// FindScreen returns where the screen of a job stopped; the zero Screen is the log's begin.
func FindScreen(dirs place.Dirs, id string) Screen {
	var s Screen
	data, err := os.ReadFile(filepath.Join(screensDir(dirs), filepath.Base(id)))
	if err != nil || json.Unmarshal(data, &s) != nil || s.Offset < 0 {
		return Screen{}
	}
	return s
}

// ForgetScreen is for a job whose end was shown.
func ForgetScreen(dirs place.Dirs, id string) error {
	err := os.Remove(filepath.Join(screensDir(dirs), filepath.Base(id)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unable to forget the screen of job %s: %w", id, err)
	}
	return nil
}

// pruneScreens removes the oldest once there are too many.
func pruneScreens(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil || len(list) <= keepScreens {
		return err
	}
	age := func(e fs.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return int(min(max(age(a)-age(b), -1), 1)) })
	for _, e := range list[:len(list)-keepScreens*9/10] {
		_ = os.Remove(filepath.Join(dir, e.Name()))
	}
	return nil
}
