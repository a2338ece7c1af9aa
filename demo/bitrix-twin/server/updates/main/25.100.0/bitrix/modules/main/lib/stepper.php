<?php
class TwinStepper {}
