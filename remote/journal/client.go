package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// ClientID returns the random id of this user on this machine, made the first time.
func ClientID(dirs place.Dirs) (string, error) {
	file := filepath.Join(dirs.State, "client-id")
	if id, err := readID(file); err == nil {
		return id, nil
	}
	unlock, err := filelock.Lock(file + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	id, err := readID(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = manifest.NewID()
	err = os.WriteFile(file+".new", []byte(id+"\n"), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return "", fmt.Errorf("unable to keep the client's id: %w", err)
	}
	return id, nil
}

func readID(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("unable to read the client's id: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if !manifest.ValidID(id) {
		return "", fmt.Errorf("unable to read the client's id: %s does not hold one; remove it to get a new one", file)
	}
	return id, nil
}

func rootsFile(dirs place.Dirs) string { return filepath.Join(dirs.State, "roots") }

// Confirmed tells whether the user once agreed that the tree at root goes to host.
func Confirmed(dirs place.Dirs, root, host string) (bool, error) {
	f, err := os.Open(rootsFile(dirs))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("unable to read which hosts are confirmed: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if lines.Text() == confirmation(root, host) {
			return true, nil
		}
	}
	return false, lines.Err()
}

// Confirm records that the user agrees.
func Confirm(dirs place.Dirs, root, host string) error {
	if have, err := Confirmed(dirs, root, host); err != nil || have {
		return err
	}
	unlock, err := filelock.Lock(rootsFile(dirs) + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return (&Journal{rootsFile(dirs)}).append([]byte(confirmation(root, host) + "\n"))
}

// confirmation quotes both, so that no name can pass for another line.
func confirmation(root, host string) string { return strconv.Quote(host) + " " + strconv.Quote(root) }
