"""Running a .pte here: the native bridge, the delegate's Python side and the program facade.

Importing this package is light; each module imports what it needs when it is used.
"""
