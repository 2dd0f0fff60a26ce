package connect

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// maxKeyFile bounds a key file in bytes.
const maxKeyFile = 1 << 20

// signers are the agent's keys that the config names, the agent's others, then those in files.
func (a *auth) signers() []ssh.Signer {
	held := a.agentSigners()
	var named, others, files []ssh.Signer
	identities := a.identities()
	inConfig := func(k ssh.PublicKey) bool {
		for _, id := range identities {
			if sameKey(id.public, k) {
				return true
			}
		}
		return false
	}
	for _, s := range held {
		if inConfig(s.PublicKey()) {
			named = append(named, s)
		} else if !a.res.IdentitiesOnly {
			others = append(others, s)
		}
	}
	for _, id := range identities {
		if id.signer != nil && !holds(named, id.public) {
			files = append(files, id.signer)
		}
	}
	list := a.certified(append(append(named, others...), files...))
	for _, s := range list {
		a.offer(s.PublicKey().Type() + " " + ssh.FingerprintSHA256(bare(s.PublicKey())))
	}
	return list
}

func (a *auth) agentSigners() []ssh.Signer {
	if a.res.IdentityAgent == "" {
		return nil
	}
	conn, err := dialAgent(a.res.IdentityAgent)
	if err != nil {
		return nil // as ssh: an agent that is gone is none
	}
	a.agent = conn
	list, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil
	}
	return list
}

// bare is the key inside a certificate.
func bare(k ssh.PublicKey) ssh.PublicKey {
	if c, ok := k.(*ssh.Certificate); ok {
		return c.Key
	}
	return k
}

func sameKey(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(bare(a).Marshal(), bare(b).Marshal())
}

func holds(list []ssh.Signer, k ssh.PublicKey) bool {
	for _, s := range list {
		if sameKey(s.PublicKey(), k) {
			return true
		}
	}
	return false
}

// identity is a key file: its public half, and the private one unless only an agent has it.
type identity struct {
	public ssh.PublicKey
	signer ssh.Signer
}

func (a *auth) identities() []identity {
	var list []identity
	for _, path := range a.res.IdentityFiles {
		if id, ok := a.identity(path); ok {
			list = append(list, id)
		}
	}
	return list
}

func (a *auth) identity(path string) (identity, bool) {
	public := publicKey(path + ".pub")
	data, err := readKeyFile(path)
	if err != nil {
		return identity{public: public}, public != nil
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return identity{signer.PublicKey(), signer}, true
	case errors.As(err, &locked):
		if public == nil {
			public = locked.PublicKey
		}
		return a.lockedIdentity(path, data, public)
	case public != nil && strings.HasPrefix(public.Type(), "sk-"):
		a.tokens = true
	}
	return identity{public: public}, public != nil
}

func (a *auth) lockedIdentity(path string, data []byte, public ssh.PublicKey) (identity, bool) {
	if signer := a.keys.find(data); signer != nil {
		return identity{signer.PublicKey(), signer}, true
	}
	if a.prompt == nil || public == nil {
		a.locked = append(a.locked, path)
		return identity{public: public}, public != nil
	}
	return identity{public, &lockedSigner{auth: a, path: path, data: data, public: public}}, true
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

func publicKey(path string) ssh.PublicKey {
	data, err := readKeyFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

// certified puts before each key the certificates that go with it.
func (a *auth) certified(keys []ssh.Signer) []ssh.Signer {
	var certs []*ssh.Certificate
	paths := append([]string{}, a.res.CertificateFiles...)
	for _, p := range a.res.IdentityFiles {
		paths = append(paths, p+"-cert.pub")
	}
	for _, p := range paths {
		if c, ok := publicKey(p).(*ssh.Certificate); ok {
			certs = append(certs, c)
		}
	}
	var list []ssh.Signer
	for _, k := range keys {
		for _, c := range certs {
			if s, err := ssh.NewCertSigner(c, k); err == nil {
				list = append(list, s)
			}
		}
	}
	return append(list, keys...)
}

// lockedSigner asks for the passphrase when the host has said that it would take the key.
type lockedSigner struct {
	auth   *auth
	path   string
	data   []byte
	public ssh.PublicKey
	mu     sync.Mutex
	signer ssh.Signer
}

func (s *lockedSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *lockedSigner) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(r, data, "")
}

func (s *lockedSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.unlock(); err != nil {
		return nil, err
	}
	if as, ok := s.signer.(ssh.AlgorithmSigner); ok && algorithm != "" {
		return as.SignWithAlgorithm(rand.Reader, data, algorithm)
	}
	return s.signer.Sign(rand.Reader, data)
}

func (s *lockedSigner) unlock() error {
	text := fmt.Sprintf("Passphrase of %s:", filepath.Clean(s.path))
	for range max(1, s.auth.res.Prompts) {
		if s.signer != nil {
			return nil
		}
		answer, err := s.auth.ask(Prompt{Kind: PromptPassphrase, Host: s.auth.res.Alias, Text: text})
		if err != nil {
			return err
		}
		s.signer, _ = ssh.ParsePrivateKeyWithPassphrase(s.data, []byte(answer))
		if s.signer != nil {
			s.auth.keys.keep(s.data, s.signer)
		}
	}
	if s.signer == nil {
		s.auth.failed = api.Errorf(api.Auth, "", "unable to unlock %s: wrong passphrase", s.path)
		return s.auth.failed
	}
	return nil
}
