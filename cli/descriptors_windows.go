package cli

// inherited is nothing on Windows: a process gets the handles that it is to have.
type inherited struct{}

func keepInherited() inherited { return inherited{} }

func (inherited) passOn() {}
