package nn_test

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// A configuration is checked and priced without a device.
func ExampleBuild() {
	var shapes nn.ShapeBuilder
	model, err := nn.Build(nn.ModelSpec{
		In: 602, Dim: 128, Classes: 41, Orders: []int{1, 0, 1, 0},
		Act: tensor.ReLU, Aggr: "concat", Bias: "norm", Dropout: 0.1,
	}, &shapes)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range model.Len() {
		fmt.Println(model.Name(i), model.Layer(i).OutDim())
	}
	fmt.Println(shapes.Trained, "trained values")
	// Output:
	// layers.0 256
	// layers.1 128
	// layers.2 256
	// layers.3 128
	// head 128
	// classifier 41
	// 260009 trained values
}
