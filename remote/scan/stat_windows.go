package scan

import (
	"io/fs"
	"os"
)

func lstat(path string) (stat, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func fstat(f *os.File) (stat, error) {
	info, err := f.Stat()
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func statOf(info fs.FileInfo) stat {
	s := stat{size: info.Size(), mtime: info.ModTime().UnixNano(), kind: special}
	switch {
	case info.Mode().IsRegular():
		s.kind = regular
	case info.IsDir():
		s.kind, s.size = directory, 0
	case info.Mode()&fs.ModeSymlink != 0:
		s.kind = symlink
	}
	return s
}

func openFile(path string) (*os.File, error) { return os.Open(path) }
