package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// update writes an update by n constants, of which the first four are factor, -bound, bound and
// rate. Products are rounded before they are added, as in the portable twins, so that the bits do
// not depend on where a row ends; memory sets the pace anyway. rule gets the clipped gradient and returns what is subtracted rate times.
func update(name, params, doc string, n int, ptrs []string, rule func(c []vec, p map[string]reg.Register, i int, g vec) vec) {
	c := make([]vec, n)
	var z vec
	begin(name, fmt.Sprintf("func(n int, %s *float32, c *[%d]float32)", params, map[bool]int{true: 5, false: 8}[n <= 5]), doc, ptrs,
		func() {
			p := Load(Param("c"), GP64())
			for i := range c {
				c[i] = vector()
				VBROADCASTSS(Mem{Base: p, Disp: 4 * i}, c[i])
			}
			z = zero()
		},
		func(p map[string]reg.Register, i int) {
			g := load(at(p["grad"], i))
			VMOVUPS(z, at(p["grad"], i))
			VMULPS(c[0], g, g)
			VMAXPS(g, c[1], g) // second source where NaN
			VMINPS(g, c[2], g)
			u, r, t := rule(c, p, i, g), vector(), load(at(p["value"], i))
			VMULPS(c[3], u, r)
			VSUBPS(r, t, t)
			VMOVUPS(t, at(p["value"], i))
		}, nothing)
}

// descent writes the updates of gradient descent.
func descent() {
	const doc = "does one update; c is factor, -bound, bound, rate, momentum."
	update("sgd", "grad, value", doc, 4, []string{"grad", "value"}, func(_ []vec, _ map[string]reg.Register, _ int, g vec) vec { return g })
	for _, nesterov := range []bool{false, true} {
		name := "sgdMomentum"
		if nesterov {
			name = "sgdNesterov"
		}
		update(name, "grad, m, value", doc, 5, []string{"grad", "m", "value"},
			func(c []vec, p map[string]reg.Register, i int, g vec) vec {
				m := load(at(p["m"], i))
				VMULPS(c[4], m, m)
				VADDPS(g, m, m)
				VMOVUPS(m, at(p["m"], i))
				if nesterov {
					VMULPS(c[4], m, m)
					VADDPS(g, m, m)
				}
				return m
			})
	}
}

// rmsprop writes the updates of RMSProp.
func rmsprop() {
	const doc = "does one update; c is factor, -bound, bound, rate, alpha, 1-alpha, eps, momentum."
	scaled := func(c []vec, p map[string]reg.Register, i int, g vec) vec {
		v, q := load(at(p["v"], i)), vector()
		VMULPS(g, g, q)
		VMULPS(c[4], v, v)
		VMULPS(c[5], q, q)
		VADDPS(q, v, v)
		VMOVUPS(v, at(p["v"], i))
		VSQRTPS(v, v)
		VADDPS(c[6], v, v)
		VDIVPS(v, g, g)
		return g
	}
	update("rmsprop", "grad, v, value", doc, 7, []string{"grad", "v", "value"}, scaled)
	update("rmspropMomentum", "grad, v, m, value", doc, 8, []string{"grad", "v", "m", "value"},
		func(c []vec, p map[string]reg.Register, i int, g vec) vec {
			u, m := scaled(c, p, i, g), vector()
			VMULPS(at(p["m"], i), c[7], m)
			VADDPS(m, u, u)
			VMOVUPS(u, at(p["m"], i))
			return u
		})
}
