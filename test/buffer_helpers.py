"""A loader process of shared buffers, in a module that a new process can import."""

import pickle


def fill(shared, process, number):
    """Take a buffer and write a number to it."""
    batch = shared.take(process)
    batch["number"].fill_(number)
    return batch


def fill_and_send(shared, queue):
    """Send three batches of process 1."""
    for number in range(3):
        queue.put(pickle.dumps(fill(shared, 1, number)))
