"""The networks, each in two forms with the same weights and the same outputs: in Keras 3, from `keras.layers` and
`keras.ops` alone, so that every backend of Keras trains and runs it, and as an ONNX graph, for ONNX Runtime.

Each module is one network. `keras_models(weights, card)` and `graphs(weights, card)` return models by the name of
their part; both take uint8 RGB pixels (n, height, width, 3) and standardise them first. Keras is imported by the
functions that need it, and only by them: a network is served on a CPU without it."""
