package actmem

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Config says how activations are kept. The zero Config keeps them as they are.
type Config struct {
	Bits      int     // of a value: 1, 2, 4 or 8; 16: bfloat16, where the device has that; 0: single precision
	Kept      float64 // share of the columns of a Factor that a random projection leaves; 0 or 1: all
	Group     int     // values of a Factor that share statistics, also across rows; 0: those of a row
	FullStats bool    // statistics in single precision, 8 bytes a group, instead of 4
	Simulate  bool    // round as with codes, but keep the values: for checking accuracy
}

// On reports whether anything is compressed.
func (c Config) On() bool { return c.Bits != 0 || c.Kept > 0 && c.Kept < 1 }

// MaxGroup bounds Config.Group: larger groups save nothing that counts.
const MaxGroup = 1 << 16

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	switch {
	case c.Bits == tensor.BF16Bits && (c.Group != 0 || c.FullStats || c.Simulate):
		return errors.New("act_group, act_stats and simulate are about codes of 1 to 8 bits")
	case c.Bits != 0 && c.Bits != tensor.BF16Bits && c.Bits != 1 && c.Bits != 2 && c.Bits != 4 && c.Bits != 8:
		return fmt.Errorf("n_bits is %d, want 1, 2, 4 or 8", c.Bits)
	case !(c.Kept >= 0 && c.Kept <= 1):
		return fmt.Errorf("kept_frac is %v, want more than 0 and at most 1", c.Kept)
	case c.Group < 0 || c.Group > MaxGroup:
		return fmt.Errorf("act_group is %d, want 0 (whole rows) to %d", c.Group, MaxGroup)
	case c.Bits == 0 && (c.Group != 0 || c.FullStats || c.Simulate):
		return errors.New("act_group, act_stats and simulate are about codes; give n_bits as well")
	}
	return nil
}

// New returns the store that c asks for, for tensors of a that operations of q work on.
func New(c Config, a tensor.Arena, q tensor.Queue) (nn.Store, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if _, ok := q.(tensor.BF16Ops); !ok && c.Bits == tensor.BF16Bits {
		c.Bits = 0
	}
	if !c.On() {
		return NewKeep(a), nil
	}
	return NewExact(c, a, q)
}

// Width returns the columns that the projection of a Factor of cols columns has.
func (c Config) Width(cols int) int {
	if c.Kept == 0 || c.Kept == 1 {
		return cols
	}
	return min(cols, int(c.Kept*float64(cols)+0.999)) // as the reference rounds
}

// Saved describes one tensor that a store holds.
type Saved struct {
	Key        nn.Key
	Rows, Cols int
	Form       string // "as it is", "borrowed", "8 bits", "signs", "8 bits and signs", "made again", …
	Bytes      int64  // 0 for a tensor that is listed before
}
