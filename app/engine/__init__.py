"""Computing text: the contract is in base, the implementations in onnx, tensorflow and fake."""
