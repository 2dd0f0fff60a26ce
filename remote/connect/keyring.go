package connect

import (
	"crypto/sha256"
	"sync"

	"golang.org/x/crypto/ssh"
)

// keyring keeps the keys that a person has unlocked for as long as the link lives, as an agent
// would: a line that breaks is connected again while nobody can be asked. Passwords and answers
// to challenges are not kept. A nil keyring keeps nothing.
type keyring struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]ssh.Signer // by the locked file's content
}

func (k *keyring) find(locked []byte) ssh.Signer {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[sha256.Sum256(locked)]
}

func (k *keyring) keep(locked []byte, s ssh.Signer) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[[sha256.Size]byte]ssh.Signer{}
	}
	k.keys[sha256.Sum256(locked)] = s
}
