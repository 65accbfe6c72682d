"""The networks in Keras 3, from `keras.layers` and `keras.ops` alone, so that every Keras backend runs them.

Each module is one network and has one function, `build(weights, card)`, that returns Keras models by the name of
their part. A model takes uint8 RGB pixels (batch, height, width, 3); what standardises them is its first layer."""
