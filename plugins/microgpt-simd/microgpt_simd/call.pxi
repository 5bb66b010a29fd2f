# One call: a native kernel bound to its buffers. A part of native.pyx.


cdef class Call:
    """A kernel on its buffers. Calling it runs it; a program runs many."""

    cdef mg_array arrays[MOST_ARRAYS]
    cdef mg_attribute attributes[MOST_ATTRIBUTES]
    cdef mg_fault fault
    cdef mg_call call
    cdef mg_kernel kernel
    cdef readonly str op
    cdef tuple names
    cdef tuple kept  # what the addresses belong to

    def __cinit__(self, str op, dict shapes, dict attributes, Team team not None, sets=frozenset()):
        """A call whose buffers are still to come. `shapes` has (shape, format) or None for each argument, in order.

        `sets` are the gradients that it writes instead of adding to them.
        """
        cdef int i, axis
        cdef mg_array *array
        if len(shapes) > MOST_ARRAYS or len(attributes) > MOST_ATTRIBUTES:
            raise ValueError(f"{op}: a native kernel has at most {MOST_ARRAYS} arguments and {MOST_ATTRIBUTES} attributes")
        self.op, self.names, self.kept = op, tuple(shapes), (team,)
        for i, (name, given) in enumerate(shapes.items()):
            array = &self.arrays[i]
            array.set = name in sets
            array.size = array.rows = array.width = 1
            for axis in range(MG_AXES):
                array.shape[axis] = 1
            if given is None:
                array.size = 0
                continue
            shape, format = given
            array.format = ord(format)
            for axis, length in enumerate(shape):
                array.size *= length
                if axis < MG_AXES:
                    array.shape[axis] = length
            array.width = shape[len(shape) - 1]
            array.rows = array.size // array.width
        for i, value in enumerate(attributes.values()):
            self.attributes[i].given = value is not None
            self.attributes[i].number = number = value or 0
            self.attributes[i].integer = int(number) if abs(number) < 2**62 else 0
        self.call.array, self.call.attribute, self.call.fault = self.arrays, self.attributes, &self.fault
        self.call.team = team.team

    def workspace(self, capsule):
        """The bytes that the kernel wants beside its arguments, as a capsule's function says."""
        cdef mg_workspace ask = <mg_workspace>PyCapsule_GetPointer(capsule, MG_WORKSPACE_CAPSULE)
        return ask(&self.call)

    def bind(self, capsule, buffers, workspace):
        """The kernel and its memory. Returns the call itself."""
        cdef int i
        self.kernel = <mg_kernel>PyCapsule_GetPointer(capsule, MG_CAPSULE)
        for i, buffer in enumerate(buffers):
            self.arrays[i].data = NULL if buffer is None else address(buffer)
        self.call.workspace = NULL if workspace is None else address(workspace)
        self.kept += (tuple(buffers), workspace)
        return self

    def __call__(self):
        cdef int code
        cdef uint64_t before
        if self.kernel is NULL:
            raise ValueError(f"{self.op}: this call has no kernel yet; bind it first")
        with nogil:
            before = mg_flush_denormals()
            code = self.kernel(&self.call)
            mg_restore_denormals(before)
        if code:
            self.complain(code)

    cdef Call copied(self):
        """Another on the same buffers. What is at fault with it is told by this one."""
        cdef Call other = Call(self.op, dict.fromkeys(self.names), {}, self.kept[0])
        other.arrays, other.attributes = self.arrays, self.attributes
        other.kernel, other.call.workspace, other.call.fault = self.kernel, self.call.workspace, &self.fault
        other.kept = (*self.kept, self)
        return other

    cdef take_on(self, const mg_call *more):
        """Work on the next numbers in memory, too, where so far this works on all numbers of its first buffer."""
        cdef int i
        cdef int64_t size = self.arrays[0].size
        cdef int64_t numbers = (<float *>more.array[0].data - <float *>self.arrays[0].data) + more.array[0].size
        for i in range(MOST_ARRAYS):
            if self.arrays[i].size == size:
                self.arrays[i].size = self.arrays[i].width = numbers
                self.arrays[i].rows = 1

    def complain(self, int code):
        """Raise what a kernel's return code means, or warn of it."""
        if code == MG_WARNED and self.fault.warning is not NULL:
            warnings.warn(f"{self.op}: {self.fault.warning.decode()}")
            return
        if code != MG_OUT_OF_RANGE:
            raise RuntimeError(f"{self.op}: the native kernel failed with code {code}")
        fault = self.fault
        raise DataError(
            f"{self.op}: {self.names[fault.argument]} has {fault.found} at index {fault.at} "
            f"(allowed: {fault.least} to {fault.most})"
        )
