package connect

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// learned is what is worth knowing before the next connection to a host.
type learned struct {
	Socket    string `json:"socket,omitempty"` // of the executor; its owner and mode were checked
	Forbidden bool   `json:"forbidden,omitempty"`
}

// memory keeps what was learned of one host in a file. Being wrong costs a failed attempt.
type memory struct{ file string }

func (m *memory) load() learned {
	var l learned
	data, err := os.ReadFile(m.file)
	if err == nil && json.Unmarshal(data, &l) != nil {
		return learned{}
	}
	return l
}

func (m *memory) save(l learned) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(m.file), ".links-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), m.file)
}

// learnTime bounds what learning may take; nobody waits for it.
const learnTime = 20 * time.Second

// learn tries, beside the exchange that dial carries, whether the executor's socket can be
// reached by itself, and remembers it.
func (s *session) learn(h api.Hello) {
	if !validSocket(h) || s.socket() == h.Socket {
		return
	}
	s.task(func() {
		ctx, cancel := context.WithTimeout(context.Background(), learnTime)
		defer cancel()
		if err := s.tryOut(ctx, h.Socket); err != nil {
			s.log.Info("exchanges go through dial", "because", err)
		}
	})
}

func (s *session) tryOut(ctx context.Context, socket string) error {
	if err := s.checkSocket(ctx, socket); err != nil {
		return err
	}
	c, err := s.openSocket(ctx, socket)
	var refused *ssh.OpenChannelError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	l := learned{Socket: socket, Forbidden: err != nil}
	s.mu.Lock()
	s.learned = l
	s.mu.Unlock()
	if err == nil {
		s.keepSpare(c)
	}
	return errors.Join(err, s.memory.save(l))
}

// checkSocket makes sure that nobody else can have put the socket there: it lies in a directory
// that is closed to others and that this user can look into.
func (s *session) checkSocket(ctx context.Context, socket string) error {
	if s.lacksSFTP() {
		return errors.New("there is no SFTP to look at the socket with")
	}
	ch, err := s.subsystem(ctx, true)
	if err != nil {
		return err
	}
	client, err := sftpClient(ctx, ch)
	if err != nil {
		return err
	}
	defer client.Close()
	dir, err := client.Lstat(path.Dir(socket))
	if err != nil {
		return err
	}
	file, err := client.Lstat(socket)
	if err != nil {
		return err
	}
	return ownSocket(dir, file)
}

func ownSocket(dir, file fs.FileInfo) error {
	d, ok := dir.Sys().(*sftp.FileStat)
	f, ok2 := file.Sys().(*sftp.FileStat)
	switch {
	case !ok || !ok2 || !dir.IsDir() || file.Mode().Type() != fs.ModeSocket:
		return errors.New("it is no socket in a directory")
	case dir.Mode().Perm()&0o077 != 0:
		return errors.New("its directory is open to others")
	case d.UID != f.UID:
		return errors.New("it is another user's")
	}
	return nil
}
